"""A language model that is prompted: it scores given answers, or generates one."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch

from nlptool.errors import DataError, UsageError
from nlptool.evaluation.generation.beam_search import Beams
from nlptool.evaluation.generation.generate import Generator, strategy
from nlptool.evaluation.generation.keys import GenerationConfig
from nlptool.evaluation.generation.sampling import renumbered
from nlptool.evaluation.requests import Request
from nlptool.evaluation.scoring import Scorer, scorer
from nlptool.formatting import counted
from nlptool.models import huggingface
from nlptool.models.config import ModelConfig
from nlptool.prompting import response_cache
from nlptool.prompting.config import Response
from nlptool.prompting.requests import TaskRun
from nlptool.text.tokenizer import Tokenizer

GENERATION_BATCH = 32  # prompts continued in one batch
Requests = Sequence[tuple[str, str]]
"""The contexts and answers of one instance."""


class PromptedModel:
    """A Hugging Face folder; config, tokenizer and weights are each loaded at first use.

    name: in the recipe; label: in tables. batch_size: prompts continued in one batch, and rows that an encoder reads
    at once; None: GENERATION_BATCH, and as many as scoring.BATCH tokens have.
    """

    def __init__(
        self, name: str, label: str, folder: Path, device: torch.device, batch_size: int | None = None
    ) -> None:
        self.name, self.label, self.folder, self.device = name, label, folder, device
        self.batch_size = batch_size

    @property
    def is_decoder(self) -> bool:
        """Whether it can generate. Reads the config alone. Raises DataError for an unknown family."""
        return self._config.kind == "decoder"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its files."""
        return response_cache.model_digest(self.folder)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer."""
        return Tokenizer.of_model(self.folder, huggingface.read_config(self.folder)["vocab_size"])

    @cached_property
    def _config(self) -> ModelConfig:
        """Its config; no weights are loaded."""
        return huggingface.read_model_config(self.folder)

    @cached_property
    def _pretrained(self) -> huggingface.Pretrained:
        return huggingface.load_pretrained(self.folder)

    @cached_property
    def _scorer(self) -> Scorer:
        return scorer(self._pretrained, self.tokenizer, self.device, batch_size=self.batch_size)

    @cached_property
    def _generator(self) -> Generator:
        return Generator(self.folder, self.device)

    @property
    def missing_capability(self) -> str | None:
        """Why it cannot score answers; None if it can. Loads an encoder's weights."""
        try:
            if not self.is_decoder:
                _ = self._scorer
        except DataError as error:
            return error.message
        return None

    @property
    def parameters(self) -> int:
        """The number of parameters of model and head."""
        return sum(tensor.numel() for tensor in self._pretrained.state.values())

    def score_kind(self, generation: GenerationConfig | None) -> str:
        """The kind of its scores."""
        return "generation" if generation else self._scorer.kind

    def max_context(self, generation: GenerationConfig | None) -> int:
        """Most tokens of a context with its answer, not counting two special tokens around them.

        For generation, most tokens of the context alone.
        """
        positions = self._config.max_positions
        return positions - 2 if generation is None else positions - generation.max_new_tokens

    def position_remarks(
        self, requests: Sequence[Requests], generation: GenerationConfig | None
    ) -> list[str]:
        """A note if the longest request reaches positions that the model was not trained on."""
        trained = huggingface.trained_positions(self.folder, self._config)
        if trained == self._config.max_positions:
            return []
        texts = [context + answer for batch in requests for context, answer in batch]
        if generation is None:  # a token has at least a byte, so short requests need no count
            texts = [text for text in texts if len(text.encode()) > trained - 2]
        longest = max(self.count_tokens(texts), default=0) + (
            generation.max_new_tokens if generation else 2 * (not self.is_decoder)
        )
        return huggingface.beyond(self.folder, self._config, longest)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text."""
        return [len(ids) for ids in self.tokenizer.encode_batch(texts)]

    def respond(
        self,
        requests: Sequence[Requests],
        generation: GenerationConfig | None,
        numbers: Sequence[int],
        places: Sequence[str],
    ) -> Iterator[tuple[int, list[Response]]]:
        """The index of an instance and the responses to its requests, in any order, as soon as they are known.

        numbers: seed the sampling of each instance. places: of the rows, for error messages. Raises DataError for an
        answer that is too long for the model, or that adds no token.
        """
        try:
            yield from (
                self._score(requests, places)
                if generation is None
                else self._generate(requests, generation, numbers)
            )
        except (DataError, UsageError) as error:
            raise DataError(f"{self.name}: {error.message}", error.hint) from error

    def _score(
        self, requests: Sequence[Requests], places: Sequence[str]
    ) -> Iterator[tuple[int, list[Response]]]:
        flat = [
            Request(*pair, place) for batch, place in zip(requests, places, strict=True) for pair in batch
        ]
        owners = [(index, at) for index, batch in enumerate(requests) for at in range(len(batch))]
        responses: list[dict[int, Response]] = [{} for _ in requests]
        for number, scored in self._scorer.answered(flat):
            index, at = owners[number]
            responses[index][at] = Response(scored.logprob, scored.tokens, scored.greedy, scored.cut)
            if len(responses[index]) == len(requests[index]):
                yield index, [response for _, response in sorted(responses[index].items())]

    def _generate(
        self, requests: Sequence[Requests], generation: GenerationConfig, numbers: Sequence[int]
    ) -> Iterator[tuple[int, list[Response]]]:
        max_context = self.max_context(generation)
        texts = [context for ((context, _),) in requests]
        lengths = self.count_tokens(texts)
        order = sorted(range(len(texts)), key=lambda index: -lengths[index])
        choose = strategy(generation)
        together = self.batch_size or GENERATION_BATCH
        for start in range(0, len(order), together):
            batch = order[start : start + together]
            prompts = [
                self._end(texts[i], max_context) if lengths[i] > max_context else texts[i] for i in batch
            ]
            of_batch = (
                choose if isinstance(choose, Beams) else renumbered(choose, [numbers[i] for i in batch])
            )
            generated = self._generator.complete(
                prompts, generation.max_new_tokens, generation.stop, of_batch
            )
            for i, text in zip(batch, generated, strict=True):
                yield i, [Response(cut=max(0, lengths[i] - max_context), text=text)]

    def _end(self, text: str, max_tokens: int) -> str:
        """The last `max_tokens` tokens of a text, without a partial character at the start."""
        ids = self.tokenizer.encode(text)
        for kept in range(max_tokens, 0, -1):
            end = self.tokenizer.decode(ids[-kept:]).lstrip("\ufffd")
            if len(self.tokenizer.encode(end)) <= max_tokens:  # which may be encoded differently by itself
                return end
        return ""


def require_decoders(models: Sequence[PromptedModel], runs: Sequence[TaskRun]) -> None:
    """Raise DataError where a model is not a decoder and a task needs generation. Reads configs alone."""
    generated = [run.name for run in runs if run.generation is not None]
    unable = [model.name for model in models if generated and not model.is_decoder]
    if unable:
        raise DataError(
            f"{', '.join(unable)}: an encoder writes no text, and {', '.join(generated)} is answered by writing",
            hint="leave out the model or the task; tasks of choices and continuations support both",
        )


def require_capable(model: PromptedModel, runs: Sequence[TaskRun]) -> None:
    """Raise DataError where a model has no head that scores text, or too few positions for an answer alone."""
    _require_positions(model, runs)
    if any(run.generation is None for run in runs) and (missing := model.missing_capability):
        raise DataError(
            f"{model.name}: {missing}",
            hint="name a model with its language-model head, as pretraining leaves it",
        )


def _require_positions(model: PromptedModel, runs: Sequence[TaskRun]) -> None:
    for run in runs:
        most = model.max_context(run.generation)
        if run.generation is not None:
            if most < 1:
                new = run.generation.max_new_tokens
                raise DataError(
                    f"{run.name}: an answer of {counted(new, 'tokens')}, and {model.name} reads "
                    f"{most + new:,} with the question",
                    hint="lower the task's key tokens, or use a model with more positions",
                )
            continue
        for instance in run.instances:
            # a token has at least a byte, so short answers need no count
            for answer in [answer for answer in instance.answers if len(answer.encode()) > most]:
                (length,) = model.count_tokens([answer])
                if length > most:
                    raise DataError(
                        f"{instance.place}: an answer of {counted(length, 'tokens')}, and {model.name} reads {most:,}",
                        hint=f"remove the row, or do not ask this model {run.name}",
                    )
