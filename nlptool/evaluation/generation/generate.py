"""Text generation with a decoder."""

# N unfinished prompts, T tokens, D width, V vocabulary, C tokens that end a text

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nlptool.errors import DataError, UsageError
from nlptool.evaluation.generation.beam_search import Beams, beam_hypotheses
from nlptool.evaluation.generation.decoding import DecodingSession
from nlptool.evaluation.generation.keys import GenerationConfig
from nlptool.evaluation.generation.logits_processors import LogitsProcessors
from nlptool.evaluation.generation.prompt_lookup import PromptLookup, room
from nlptool.evaluation.generation.sampling import Choose, DecodingState, Sampling, greedy
from nlptool.evaluation.generation.streaming import DetokenizeStream
from nlptool.models import huggingface
from nlptool.models.base import Decoder
from nlptool.models.kernels.cpu import CPU
from nlptool.models.open_pretrained import open_decoder
from nlptool.text.tokenizer import Tokenizer


def strategy(config: GenerationConfig) -> Choose | Beams:
    """Beam search, sampling, or greedy decoding, each with the same logits processors."""
    processors = LogitsProcessors(config.repetition_penalty, config.no_repeat_ngram_size)
    alpha = config.length_penalty
    if config.num_beams is not None:
        if alpha is None:
            return Beams(config.num_beams, processors=processors)
        return Beams(config.num_beams, lambda tokens: tokens**alpha, processors)
    if not config.sampled and processors == LogitsProcessors():
        return greedy
    temperature = (1.0 if config.temperature is None else config.temperature) if config.sampled else 0.0
    top_p = 1.0 if config.top_p is None else config.top_p
    return Sampling(temperature, config.top_k or 0, top_p, config.seed, processors)


@torch.inference_mode()
def continuations(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    ends: Collection[int] = (),
    choose: Choose = greedy,
    stopped: Collection[int] = (),
) -> Iterator[tuple[int, int]]:
    """Generate tokens for each prompt and yield (number of the prompt, token).

    Tokens of each prompt in turn, until it has `tokens` of them, one of `ends` is chosen (which is not yielded), or
    the model has no further position. model: a decoder with `cache`, in evaluation mode. stopped: numbers of prompts
    that the caller has finished; checked after each token. A prompt's result does not depend on the others of its
    batch. ValueError for a prompt without a token or longer than the model's positions.
    """
    if not all(prompts):
        raise ValueError("a prompt needs a token")
    if not prompts or not tokens:
        return
    texts = _Texts(prompts, [min(model.config.max_positions, len(prompt) + tokens - 1) for prompt in prompts])
    steps = DecodingSession(model, prompts, tokens)
    logits_NTV, drafts = steps.begin(), [list[int]()] * len(prompts)
    while True:
        yield from texts.take(logits_NTV, drafts, choose, ends, stopped)
        if not texts.unfinished:
            return
        if logits_NTV.shape[1] > 1:
            steps.forget([len(texts.ids[number]) - 1 for number in texts.rows])
        kept = texts.alive
        if steps.worth_it(len(kept)):
            steps.keep(kept)
            texts.rows = [texts.rows[row] for row in kept]
        most = 0 if steps.on_gpu else min(room(len(texts.rows)), steps.room - 1)
        drafts = [texts.guesses[number].next(most) for number in texts.rows]
        last = [texts.ids[number][-1] for number in texts.rows]
        logits_NTV = steps.read(_read_along(last, drafts))


class _Texts:
    """Growing texts: their tokens so far, and which are unfinished."""

    def __init__(self, prompts: Sequence[Sequence[int]], full: Sequence[int]) -> None:
        """full: a longer text is finished."""
        self.ids = [list(prompt) for prompt in prompts]
        self.guesses = [PromptLookup(ids) for ids in self.ids]
        self.rows = list(range(len(prompts)))
        """Number of the text in each row of the batch."""
        self.unfinished = set(self.rows)
        self._begun, self._full = [len(prompt) for prompt in prompts], full

    @property
    def alive(self) -> list[int]:
        """The rows of unfinished texts."""
        return [row for row, number in enumerate(self.rows) if number in self.unfinished]

    def take(
        self,
        logits_NTV: Tensor,
        drafts: Sequence[Sequence[int]],
        choose: Choose,
        ends: Collection[int],
        stopped: Collection[int],
    ) -> Iterator[tuple[int, int]]:
        """The tokens accepted in one step: after the last token, then after guesses as long as they are right."""
        alive = drafted = self.alive
        right = dict.fromkeys(alive, 0)
        for place in range(logits_NTV.shape[1] if alive else 0):
            agreed = []
            found = choose(logits_NTV[drafted, place], self._decoding_state(drafted)).tolist()
            for row, token in zip(drafted, found, strict=True):
                number = self.rows[row]
                if token in ends:
                    self.unfinished.remove(number)
                    continue
                self.ids[number].append(token)
                yield number, token
                if len(self.ids[number]) > self._full[number] or number in stopped:
                    self.unfinished.remove(number)
                elif [*drafts[row][place : place + 1]] == [token]:
                    right[row] += 1
                    agreed.append(row)
            drafted = agreed
            if not drafted:
                break
        for row in alive:
            self.guesses[self.rows[row]].observe(len(drafts[row]), right[row])

    def _decoding_state(self, rows: Sequence[int]) -> DecodingState:
        numbers = [self.rows[row] for row in rows]
        ids = [self.ids[number] for number in numbers]
        return DecodingState(
            numbers, ids, [len(one) - self._begun[number] for one, number in zip(ids, numbers, strict=True)]
        )


def _read_along(last: Sequence[int], drafts: Sequence[list[int]]) -> list[list[int]]:
    """The last token of each row followed by its guesses, all padded to the longest."""
    longest = max(map(len, drafts))
    return [[token, *draft, *[0] * (longest - len(draft))] for token, draft in zip(last, drafts, strict=True)]


class Generator:
    """A Hugging Face folder with a decoder and its tokenizer. Raises DataError when one is missing.

    A text ends at every token that the tokenizer, config.json or generation_config.json defines as an end.
    """

    def __init__(self, folder: Path, device: torch.device = CPU) -> None:
        pretrained = huggingface.load_pretrained(folder)
        self.tokenizer = Tokenizer.of_model(folder, pretrained.vocab_size)
        try:
            self.model = open_decoder(pretrained, device)
        except DataError as error:
            raise DataError(f"{folder}: {error.message}", error.hint) from error
        self.model.pack()
        special = self.tokenizer.special
        own = [special[role] for role in ("eos", "sep") if role in special][:1]
        self.ends = list(dict.fromkeys([*own, *huggingface.end_tokens(folder)]))

    def complete(
        self, texts: Sequence[str], tokens: int, stop: Sequence[str] = (), choose: Choose | Beams = greedy
    ) -> list[str]:
        """The continuation of each text, up to `tokens` tokens; an empty text begins with an end-of-text token.

        A continuation ends before a stop string. Raises UsageError for a text with more tokens than the model has
        positions; a continuation ends at the last position.
        """
        completions = [""] * len(texts)
        for number, piece in self.stream(texts, tokens, stop, choose):
            completions[number] += piece
        return completions

    def stream(
        self, texts: Sequence[str], tokens: int, stop: Sequence[str] = (), choose: Choose | Beams = greedy
    ) -> Iterator[tuple[int, str]]:
        """`complete` as a stream of pieces of whole characters: (number of the text, piece).

        With beams, the pieces come at the end.
        """
        prompts = self._prompts(texts)
        if isinstance(choose, Beams):
            best = self.hypotheses(texts, tokens, stop, choose, 1)
            yield from ((number, text) for number, (text,) in enumerate(best) if text)
            return
        streams = [DetokenizeStream(self.tokenizer, stop, prompt[-1:]) for prompt in prompts]
        stopped: set[int] = set()
        for number, token in continuations(self.model, prompts, tokens, self.ends, choose, stopped):
            if piece := streams[number].add(token):
                yield number, piece
            if streams[number].stopped:
                stopped.add(number)
        for number, stream in enumerate(streams):
            if piece := stream.rest():
                yield number, piece

    def hypotheses(
        self, texts: Sequence[str], tokens: int, stop: Sequence[str], beams: Beams, count: int
    ) -> list[list[str]]:
        """The `count` best continuations of each text by beam search, best first. Raises as `complete`."""

        def stopped(ids: list[int]) -> bool:
            text = self.tokenizer.decode(ids)
            return any(one in text for one in stop)

        prompts = self._prompts(texts)
        found = beam_hypotheses(self.model, prompts, tokens, self.ends, beams, stopped if stop else None)
        return [
            [self._text(ids, stop, prompt) for ids in several[:count]]
            for prompt, several in zip(prompts, found, strict=True)
        ]

    def _prompts(self, texts: Sequence[str]) -> list[list[int]]:
        prompts = [self.tokenizer.encode(text) or self.ends[:1] for text in texts]
        if not all(prompts):
            raise UsageError("an empty text, and the tokenizer has no end of text to begin from")
        positions = self.model.config.max_positions
        if len(longest := max(prompts, key=len, default=[])) > positions:
            raise UsageError(
                f"a text has {len(longest)} tokens, the model reads {positions}", hint="shorten the text"
            )
        return prompts

    def _text(self, ids: Sequence[int], stop: Sequence[str], prompt: Sequence[int]) -> str:
        """Decode the tokens after a prompt, up to a stop string."""
        stream = DetokenizeStream(self.tokenizer, stop, prompt[-1:])
        return "".join([*map(stream.add, ids), stream.rest()])
