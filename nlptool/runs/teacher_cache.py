"""The teacher's top k of each batch of the first epoch, on the disk, so that later epochs need no teacher.

OUT/teacher/RANK-of-RANKS-MICRO_BATCHES.topk_ids        the k most probable tokens of each position
OUT/teacher/RANK-of-RANKS-MICRO_BATCHES.topk_logprobs   their log-probabilities, float16
OUT/teacher/RANK-of-RANKS-MICRO_BATCHES.known           CRC-32 of the two for each micro-batch; 0: not there yet

What is damaged is computed again.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from nlptool.atomic_files import open_regular
from nlptool.data.batches import Batch, PrefetchingLoader, RepeatedEpochs
from nlptool.text.store import dtype_for
from nlptool.train.distributed import DistributedContext


class TeacherCache(PrefetchingLoader):
    """Batches with the teacher's outputs. They are computed once, also where a run resumes."""

    def __init__(
        self,
        batches: RepeatedEpochs,
        answers: Callable[[Batch], dict[str, Tensor]],
        folder: Path,
        world: DistributedContext,
        parts: int,
        vocab_size: int,
    ) -> None:
        """answers: the teacher's outputs of a batch. parts: micro-batches of a step, on this rank."""
        super().__init__(batches, world.device)
        self.again, self.answers, self.world, self.parts = batches, answers, world, parts
        self.path = folder / f"{world.rank}-of-{world.size}-{parts}"
        self.types = {"topk_ids": dtype_for(vocab_size), "topk_logprobs": np.dtype(np.float16)}
        self.kept: dict[str, np.memmap[Any, Any]] = {}

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n."""
        first = self.again.number(n) * self.parts
        return [self._with_answers(first + part, batch) for part, batch in enumerate(super().get(n))]

    def _with_answers(self, number: int, batch: Batch) -> Batch:
        moved = batch.to(self.world.device)
        if not (self.kept and self._is_whole(number)):
            outputs = {name.removeprefix("teacher_"): t.cpu() for name, t in self.answers(moved).items()}
            self._keep(number, {name: tensor.numpy() for name, tensor in outputs.items()})
        known = {f"teacher_{name}": self._tensor(name, number) for name in self.types}
        return Batch(moved.tensors | known, batch.counts, batch.tokens)

    def _keep(self, number: int, outputs: dict[str, np.ndarray[Any, Any]]) -> None:
        if not self.kept:
            self._open(outputs["topk_ids"].shape)
        if self._is_whole(number):
            return
        for name in self.types:
            self.kept[name][number] = outputs[name]
            self.kept[name].flush()
        self.kept["known"][number] = self._sum(number)
        self.kept["known"].flush()

    def _is_whole(self, number: int) -> bool:
        return int(self.kept["known"][number]) == self._sum(number)

    def _sum(self, number: int) -> int:
        """CRC-32 of the answers to a micro-batch, never 0."""
        found = 0
        for name in self.types:
            found = crc32(np.ascontiguousarray(self.kept[name][number]).data, found)
        return found or 1

    def _open(self, shape: tuple[int, ...]) -> None:
        """The files, which grow as they are written."""
        self.path.parent.mkdir(exist_ok=True)
        total = self.again.size * self.parts
        shapes = {"known": (total,)} | dict.fromkeys(self.types, (total, *shape))
        kinds = {"known": np.dtype(np.uint32)} | self.types
        files = {name: self.path.with_name(f"{self.path.name}.{name}") for name in kinds}
        # All three as they were written, or none: a file that lost its end would be answered for by zeros.
        for file in files.values():
            if os.path.lexists(file):
                open_regular(file, "remove it, and the teacher computes it again").close()
        whole = all(
            file.exists() and file.stat().st_size == kinds[name].itemsize * np.prod(shapes[name])
            for name, file in files.items()
        )
        mode: Any = "r+" if whole else "w+"
        for name, kind in kinds.items():
            file = files[name]
            self.kept[name] = np.memmap(file, kind, mode, shape=shapes[name])

    def _tensor(self, name: str, number: int) -> Tensor:
        wide = np.int64 if name == "topk_ids" else np.float32
        return torch.from_numpy(self.kept[name][number].astype(wide)).to(self.world.device)
