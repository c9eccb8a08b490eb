"""A model that is asked: it scores answers, or writes one."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from nlptool import registry
from nlptool.commands.prompt import replies
from nlptool.errors import DataError, UsageError
from nlptool.evaluation.generation.beam_search import Beams
from nlptool.evaluation.generation.generate import Generator
from nlptool.evaluation.generation.sampling import Choose, Sampling, greedy, renumbered
from nlptool.evaluation.requests import Request
from nlptool.evaluation.scoring import CausalScorer, MaskedScorer, Scorer, scorer
from nlptool.models import huggingface
from nlptool.models.config import EncoderConfig
from nlptool.prompting.config import GenerationConfig, Response
from nlptool.recipe import RecipeBlock
from nlptool.runs import machine
from nlptool.text.tokenizer import Tokenizer

KINDS = {CausalScorer: "likelihood", MaskedScorer: "pseudo-likelihood"}
ROWS = 32  # answers that are written together
Requests = Sequence[tuple[str, str]]
"""Context and answer of each reply to one question."""


class Respondent:
    """A Hugging Face folder. name: as the recipe has it; label: as tables do. What is needed of it is loaded then."""

    def __init__(self, name: str, label: str, folder: Path) -> None:
        self.name, self.label, self.folder = name, label, folder

    @property
    def is_decoder(self) -> bool:
        """Whether it can write. Only its settings are read. Raises DataError for a family that is not known."""
        return not isinstance(self._config, EncoderConfig)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its files."""
        return replies.of_model(self.folder)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer."""
        return Tokenizer.of_model(self.folder, huggingface.read_config(self.folder)["vocab_size"])

    @cached_property
    def _config(self) -> RecipeBlock:
        """Its settings; its weights are read only where these are not as they should be, which says why."""
        settings = huggingface.read_config(self.folder)
        family = str(settings.get("model_type"))
        if family not in registry.names("models"):
            return self._pretrained.config
        try:
            config: RecipeBlock = registry.load("models", family, "huggingface").from_hf_config(settings)
        except ValueError:
            return self._pretrained.config
        return config

    @cached_property
    def _pretrained(self) -> huggingface.Pretrained:
        return huggingface.load_pretrained(self.folder)

    @cached_property
    def _scorer(self) -> Scorer:
        return scorer(self._pretrained.config, self._pretrained.state, self.tokenizer, machine.device())

    @property
    def lacks(self) -> str | None:
        """Why it cannot score answers; None where it can. Of an encoder the weights are read."""
        try:
            if not self.is_decoder:
                _ = self._scorer
        except DataError as error:
            return error.message
        return None

    @cached_property
    def _writer(self) -> Generator:
        return Generator(self.folder, machine.device())

    @property
    def parameters(self) -> int:
        """Of net and head."""
        return sum(tensor.numel() for tensor in self._pretrained.state.values())

    def kind(self, writing: GenerationConfig | None) -> str:
        """What its scores come from."""
        return "generation" if writing else KINDS.get(type(self._scorer), "originality")

    def room(self, writing: GenerationConfig | None) -> int:
        """Tokens of a prompt with its answer that it surely reads: two positions may stand around a text."""
        positions = int(self._config.model_dump()["positions"])
        return positions - 2 if writing is None else positions - writing.tokens

    def beyond(self, asked: Sequence[Requests], writing: GenerationConfig | None) -> list[str]:
        """A remark where its training has not reached the positions of the longest request."""
        reached = huggingface.trained_positions(self.folder, self._config)
        if reached == self._config.model_dump()["positions"]:
            return []
        texts = [context + answer for requests in asked for context, answer in requests]
        if writing is None:  # a token has at least a byte, so short requests need not be counted
            texts = [text for text in texts if len(text.encode()) > reached - 2]
        longest = max(self.count(texts), default=0) + (
            writing.tokens if writing else 2 * (not self.is_decoder)
        )
        return huggingface.beyond(self.folder, self._config, longest)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self.tokenizer.encode_batch(texts)]

    def replies(
        self,
        asked: Sequence[Requests],
        writing: GenerationConfig | None,
        numbers: Sequence[int],
        places: Sequence[str],
    ) -> Iterator[tuple[int, list[Response]]]:
        """What it makes of each question, with its place in `asked`, in any order, as soon as it is known.

        numbers: of the questions, by which they draw. places: where they were read, for what is wrong with one.
        Raises DataError for an answer that is too long for it, or a text that it cannot begin from.
        """
        try:
            yield from (
                self._scored(asked, places) if writing is None else self._written(asked, writing, numbers)
            )
        except (DataError, UsageError) as error:
            raise DataError(f"{self.name}: {error.message}", error.hint) from error

    def _scored(
        self, asked: Sequence[Requests], places: Sequence[str]
    ) -> Iterator[tuple[int, list[Response]]]:
        requests = [Request(*pair, where) for one, where in zip(asked, places, strict=True) for pair in one]
        owners = [(number, at) for number, one in enumerate(asked) for at in range(len(one))]
        found: list[dict[int, Response]] = [{} for _ in asked]
        for request, scored in self._scorer.answered(requests):
            number, at = owners[request]
            found[number][at] = Response(scored.logprob, scored.tokens, scored.greedy, scored.cut)
            if len(found[number]) == len(asked[number]):
                yield number, [reply for _, reply in sorted(found[number].items())]

    def _written(
        self, asked: Sequence[Requests], writing: GenerationConfig, numbers: Sequence[int]
    ) -> Iterator[tuple[int, list[Response]]]:
        room = self.room(writing)
        texts = [context for ((context, _),) in asked]
        lengths = self.count(texts)
        order = sorted(range(len(texts)), key=lambda number: -lengths[number])
        for begin in range(0, len(order), ROWS):
            some = order[begin : begin + ROWS]
            read = [self._end(texts[n], room) if lengths[n] > room else texts[n] for n in some]
            choose = _choice(writing, [numbers[n] for n in some])
            made = self._writer.complete(read, writing.tokens, writing.stop, choose)
            for n, text in zip(some, made, strict=True):
                yield n, [Response(cut=max(0, lengths[n] - room), text=text)]

    def _end(self, text: str, room: int) -> str:
        """The last `room` tokens of a text; a character that is cut in two is left out."""
        ids = self.tokenizer.encode(text)
        for kept in range(room, 0, -1):
            end = self.tokenizer.decode(ids[-kept:]).lstrip("\ufffd")
            if len(self.tokenizer.encode(end)) <= room:  # which may be encoded otherwise by itself
                return end
        return ""


def _choice(writing: GenerationConfig, numbers: Sequence[int]) -> Choose | Beams:
    """How the next token is found, of prompts with these numbers."""
    if writing.beams is not None:
        return Beams(writing.beams)
    if writing.top_k is None:
        return greedy
    return renumbered(Sampling(top_k=writing.top_k, seed=writing.seed), numbers)
