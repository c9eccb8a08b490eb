"""Let a decoder continue texts."""

# N prompts that are still going on, T tokens, D width, V vocabulary, C tokens that end a text

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlptool import registry
from nlptool.errors import DataError, UsageError
from nlptool.evaluate.beams import Beams, beam_search
from nlptool.evaluate.sampling import Choose, Going, greedy
from nlptool.evaluate.steps import Steps, share_worth_keeping
from nlptool.evaluate.streaming import Stream
from nlptool.models import huggingface
from nlptool.models.cpu import CPU
from nlptool.models.layers import gather_rows
from nlptool.text.tokenizer import Tokenizer


@torch.inference_mode()
def continuations(
    net: Any,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    ends: Collection[int] = (),
    choose: Choose = greedy,
    stopped: Collection[int] = (),
) -> Iterator[tuple[int, int]]:
    """Tokens that go on with each prompt, as they are made: (number of the prompt, token).

    One of each prompt in turn, until it has `tokens` of them, one of `ends` is chosen (which is not given), or
    the net has no further position. net: a decoder with `cache`, in evaluation mode. stopped: numbers of prompts
    that the caller wants no more of; read after each round. A prompt goes on alike whatever others it is with.
    ValueError for a prompt without a token or longer than the net's positions.
    """
    if not all(prompts):
        raise ValueError("a prompt needs a token")
    device, positions = net.word_embeddings.device, net.config.positions
    lengths_N = torch.tensor([len(prompt) for prompt in prompts], device=device)
    longest, numbers = max(map(len, prompts), default=0), list(range(len(prompts)))
    padded = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
    ids_NT, so_far = (
        torch.tensor(padded, dtype=torch.long, device=device),
        [list(prompt) for prompt in prompts],
    )
    cache, going = net.cache(len(prompts), longest + tokens), set(numbers)
    next_token: Steps | None = None
    for step in range(tokens if prompts else 0):
        if step == 0:
            logits_NV = net.logits(gather_rows(net(ids_NT, cache), lengths_N[:, None] - 1)[:, 0])
            cache.cut(lengths_N)  # padding was read, and is forgotten
        else:
            next_token = next_token or Steps(net, cache)
            logits_NV = next_token(ids_NT)
        chosen_N = choose(logits_NV, Going(numbers, [so_far[n] for n in numbers], step))
        for number, token in zip(numbers, chosen_N.tolist(), strict=True):
            if number not in going:
                continue
            if token in ends:
                going.remove(number)
                continue
            so_far[number].append(token)
            yield number, token
            if number in stopped or len(so_far[number]) > positions:
                going.remove(number)
        if not going:
            return
        ids_NT = chosen_N[:, None]
        if len(going) <= len(numbers) * share_worth_keeping(device) and len(going) < len(numbers):
            rows_N = torch.tensor([row for row, n in enumerate(numbers) if n in going], device=device)
            numbers = [number for number in numbers if number in going]
            cache, ids_NT, next_token = cache.take(rows_N), ids_NT[rows_N], None


class Generator:
    """A Hugging Face folder with a decoder and its tokenizer. Raises DataError when one is missing."""

    def __init__(self, folder: Path, device: torch.device = CPU) -> None:
        pretrained = huggingface.load_pretrained(folder)
        self.tokenizer = Tokenizer.load(folder)
        family = registry.load("models", str(pretrained.config.model_dump()["name"]), "net")
        self.net = family.Net(pretrained.config, pretrained.vocab_size)
        if not hasattr(self.net, "cache"):
            raise DataError(
                f"{folder}: the model is no decoder", hint="name the final/ of a pretrain-clm run"
            )
        huggingface.load(nn.ModuleDict({"backbone": self.net}), pretrained.state)
        self.net.eval().to(device)
        self.net.pack()
        special = self.tokenizer.special
        self.ends = [special[role] for role in ("eos", "sep") if role in special][:1]

    def complete(
        self, texts: Sequence[str], tokens: int, stop: Sequence[str] = (), choose: Choose | Beams = greedy
    ) -> list[str]:
        """How each text goes on, up to `tokens` tokens; an empty text begins after an end of text.

        A continuation ends before a stop string. Raises UsageError for a text with more tokens than the net has
        positions; at the last position a continuation ends.
        """
        made = [""] * len(texts)
        for number, piece in self.stream(texts, tokens, stop, choose):
            made[number] += piece
        return made

    def stream(
        self, texts: Sequence[str], tokens: int, stop: Sequence[str] = (), choose: Choose | Beams = greedy
    ) -> Iterator[tuple[int, str]]:
        """`complete`, in pieces of whole characters as they are made: (number of the text, piece).

        Beams have nothing to give before they are done.
        """
        prompts = [self.tokenizer.encode(text) or self.ends for text in texts]
        if not all(prompts):
            raise UsageError("an empty text, and the tokenizer has no end of text to begin from")
        positions = self.net.config.positions
        if len(longest := max(prompts, key=len, default=[])) > positions:
            raise UsageError(f"a text has {len(longest)} tokens, the model reads {positions}")
        streams = [Stream(self.tokenizer, stop) for _ in prompts]
        stopped: set[int] = set()
        for number, token in self._tokens(prompts, tokens, choose, stopped):
            if piece := streams[number].add(token):
                yield number, piece
            if streams[number].stopped:
                stopped.add(number)
        for number, stream in enumerate(streams):
            if piece := stream.rest():
                yield number, piece

    def _tokens(
        self, prompts: list[list[int]], tokens: int, choose: Choose | Beams, stopped: Collection[int]
    ) -> Iterator[tuple[int, int]]:
        if not isinstance(choose, Beams):
            yield from continuations(self.net, prompts, tokens, self.ends, choose, stopped)
            return
        for number, ids in enumerate(beam_search(self.net, prompts, tokens, self.ends, choose)):
            yield from ((number, token) for token in ids)
