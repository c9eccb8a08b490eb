"""Evaluation of one model on one task with one number of shots; only responses missing in the cache are requested."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.prompting.config import Response
from nlptool.prompting.prompted_model import PromptedModel
from nlptool.prompting.requests import TaskRun, fit_fewshot_examples, unencodable
from nlptool.prompting.response_cache import ResponseCache, request_digest, responses

WRITTEN_TOGETHER = 64  # instances requested at once


class TaskEvaluation:
    """The requests of a task for one model, and its responses in the cache at `path`.

    Raises DataError where the cache is damaged.
    """

    def __init__(self, model: PromptedModel, run: TaskRun, shots: int, path: Path) -> None:
        self.model, self.run, self._path = model, run, path
        generation = run.generation
        self.batches = fit_fewshot_examples(run, shots, model.max_context(generation), model.count_tokens)
        sampled, decided_by = (
            generation is not None and generation.sampled,
            generation and generation.identity,
        )
        self._digests = [
            request_digest(model.digest, [batch.requests, decided_by, *([number] if sampled else [])])
            for batch, number in zip(self.batches, run.numbers, strict=True)
        ]
        self._cache = ResponseCache(path)

    @property
    def remarks(self) -> list[str]:
        """Notes on what the model cannot read in full."""
        lost = unencodable(self.batches, self.model.tokenizer)
        beyond = self.model.position_remarks([batch.requests for batch in self.batches], self.run.generation)
        return [*beyond, *([lost] if lost else [])]

    @property
    def cached(self) -> int:
        """The number of instances whose responses are known."""
        return sum(digest in self._cache.entries for digest in self._digests)

    def request(self, shield: Callable[[], AbstractContextManager[object]]) -> Iterator[int]:
        """Request missing responses; yields after each instance how many are done. shield: surrounds each write.

        Instances with the same requests are requested once.
        """
        known = self._cache.entries
        missing = list({d: index for index, d in enumerate(self._digests) if d not in known}.values())
        waiting: list[dict[str, Any]] = []
        found = self.model.respond(
            [self.batches[index].requests for index in missing],
            self.run.generation,
            [self.run.numbers[index] for index in missing],
            [self.run.instances[index].place for index in missing],
        )
        for done, (number, response) in enumerate(found, start=1):
            waiting.append(self._entry(missing[number], response))
            if len(waiting) == WRITTEN_TOGETHER or done == len(missing):
                with shield():
                    self._cache.add(waiting)
                waiting = []
            yield done

    def entries(self, shield: Callable[[], AbstractContextManager[object]]) -> list[Mapping[str, Any]]:
        """The lines of all instances in order, to which the cache is then reduced.

        Raises DataError for a line with too few or too many responses.
        """
        entries: list[Mapping[str, Any]] = []
        for index, (batch, digest) in enumerate(zip(self.batches, self._digests, strict=True)):
            kept = self._cache.entries[digest]
            found = responses(kept)
            if len(found) != len(batch.requests):
                raise DataError(
                    f"{self._path}: {counted(len(found), 'responses')} to {self.run.instances[index].place}, which "
                    f"has {len(batch.requests)}",
                    hint="remove the file, and only its responses are requested again",
                )
            line = self._entry(index, found)
            entries.append(kept if kept == line else line)  # equal requests share a line
        with shield():
            self._cache.replace(entries)
        return entries

    def _entry(self, index: int, found: Sequence[Response]) -> dict[str, Any]:
        """The line of an instance: the model's input, and its responses."""
        instance, batch = self.run.instances[index], self.batches[index]
        generated = self.run.generation is not None
        keys = ("text", "cut") if generated else ("logprob", "tokens", "greedy", "cut")
        contexts = [context for context, _ in batch.requests]
        return {
            "place": instance.place,
            **({"part": instance.part} if instance.part else {}),
            "num_fewshot": batch.shots,
            **({"left_out": batch.left_out} if batch.left_out else {}),
            "prompt": contexts[0] if len(set(contexts)) == 1 else contexts,
            **(
                {"references": instance.references}
                if generated
                else {"answers": [answer for _, answer in batch.requests], "gold": instance.gold}
            ),
            "replies": [{key: value for key, value in one._asdict().items() if key in keys} for one in found],
            "digest": self._digests[index],
        }
