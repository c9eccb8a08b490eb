"""A disk cache of the teacher's top k for each batch of the first epoch, so that later epochs need no teacher.

OUT/teacher/RANK-of-RANKS-MICRO_BATCHES.topk_ids        the k most probable tokens of each position
OUT/teacher/RANK-of-RANKS-MICRO_BATCHES.topk_logprobs   their log-probabilities, float16
OUT/teacher/RANK-of-RANKS-MICRO_BATCHES.known           CRC-32 of both for each micro-batch; 0: not cached yet

Damaged entries are computed again.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from nlptool.atomic_files import notify_recomputed, open_regular, read_bytes, refused
from nlptool.data.batches import Batch, PrefetchingLoader, RepeatedEpochs
from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.text.store import dtype_for
from nlptool.train.distributed import DistributedContext

KNOWN = np.dtype(np.uint32)
NAMES = ("topk_ids", "topk_logprobs")


class TeacherCache(PrefetchingLoader):
    """Batches with the teacher's outputs, computed once, also across resumes."""

    def __init__(
        self,
        batches: RepeatedEpochs,
        answers: Callable[[Batch], dict[str, Tensor]],
        folder: Path,
        world: DistributedContext,
        parts: int,
        vocab_size: int,
    ) -> None:
        """answers: computes the teacher's outputs of a batch. parts: micro-batches of a step on this rank."""
        super().__init__(batches, world.device)
        self.again, self.answers, self.world, self.parts = batches, answers, world, parts
        self.path = folder / f"{world.rank}-of-{world.size}-{parts}"
        self.types = dict(zip(NAMES, (dtype_for(vocab_size), np.dtype(np.float16)), strict=True))
        self.files: dict[str, FileIO] = {}
        self.shape: tuple[int, ...] = ()  # bytes of the outputs for a micro-batch

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n."""
        first = self.again.number(n) * self.parts
        return [self._with_answers(first + part, batch) for part, batch in enumerate(super().get(n))]

    def _with_answers(self, number: int, batch: Batch) -> Batch:
        moved = batch.to(self.world.device)
        if not (self.files and self._is_whole(number)):
            outputs = {name.removeprefix("teacher_"): t.cpu() for name, t in self.answers(moved).items()}
            self._keep(number, {name: tensor.numpy() for name, tensor in outputs.items()})
        known = {f"teacher_{name}": self._tensor(name, number) for name in self.types}
        return Batch(moved.tensors | known, batch.counts, batch.tokens)

    def _keep(self, number: int, outputs: dict[str, np.ndarray[Any, Any]]) -> None:
        if not self.files:
            self._open(outputs["topk_ids"].shape)
        if self._is_whole(number):
            return
        for name, kind in self.types.items():
            self._write(name, number, outputs[name].astype(kind))
        self._write("known", number, np.array(self._sum(number), np.uint32))

    def _is_whole(self, number: int) -> bool:
        known = int(self._read("known", number))
        if known and known != self._sum(number):
            notify_recomputed(
                f"{self.path}.*: holds answers of the teacher that are not what was written", "they are"
            )
        return known == self._sum(number)

    def _sum(self, number: int) -> int:
        """CRC-32 of the outputs for a micro-batch, never 0."""
        found = 0
        for name in self.types:
            found = crc32(self._read(name, number).data, found)
        return found or 1

    def _read(self, name: str, number: int) -> np.ndarray[Any, Any]:
        """The outputs for a micro-batch in a file; zeros beyond its end."""
        kind, shape = (KNOWN, ()) if name == "known" else (self.types[name], self.shape)
        size, file = kind.itemsize * int(np.prod(shape)), self.files[name]
        file.seek(number * size)
        return np.frombuffer(file.read(size).ljust(size, b"\0"), kind).reshape(shape)

    def _write(self, name: str, number: int, values: np.ndarray[Any, Any]) -> None:
        """Written rather than mapped, so that a full disk is an error; a page without room would kill the process."""
        file, left = self.files[name], memoryview(values.tobytes())
        try:
            file.seek(number * len(left))
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            raise refused(Path(str(file.name)), error) from error

    def _open(self, shape: tuple[int, ...]) -> None:
        """The files, which are sparse until they are written."""
        self.shape = shape
        self.path.parent.mkdir(exist_ok=True)
        total = self.again.size * self.parts
        shapes = {"known": (total,)} | dict.fromkeys(self.types, (total, *shape))
        kinds = {"known": KNOWN} | self.types
        files = {name: self.path.with_name(f"{self.path.name}.{name}") for name in kinds}
        # All three intact, or none: zeros would take the place of a lost end.
        for file in files.values():
            if os.path.lexists(file):
                open_regular(file, "remove it, and the teacher computes it again").close()
        sizes = {name: kind.itemsize * int(np.prod(shapes[name])) for name, kind in kinds.items()}
        whole = all(file.exists() and file.stat().st_size == sizes[name] for name, file in files.items())
        if not whole and any(file.exists() for file in files.values()):
            notify_recomputed(
                f"{self.path}.*: the teacher's answers are cut, or of batches of another size", "they are"
            )
        for name, file in files.items():
            try:
                self.files[name] = FileIO(file, "r+" if whole else "w+")
                self.files[name].truncate(sizes[name])
            except OSError as error:
                raise refused(file, error) from error

    def _tensor(self, name: str, number: int) -> Tensor:
        wide = np.int64 if name == "topk_ids" else np.float32
        return torch.from_numpy(self._read(name, number).astype(wide)).to(self.world.device)


def faults(folder: Path) -> Iterator[str]:
    """Damaged entries in a run's teacher/; one file is read at a time."""
    for known in sorted(folder.glob("*.known")):
        try:
            sums = np.frombuffer(read_bytes(known), KNOWN)
            parts = [open_regular(known.with_suffix(f".{name}")) for name in NAMES]
        except (DataError, FileNotFoundError, ValueError) as error:
            yield str(error)
            continue
        with ExitStack() as stack:
            for part in parts:
                stack.enter_context(part)
            sizes = [os.fstat(part.fileno()).st_size for part in parts]
            if any(size % len(sums) for size in sizes) if len(sums) else any(sizes):
                yield f"{known}: is cut, or what lies beside it is"
                continue
            bad = 0
            for written in map(int, sums):
                found = 0
                for part, size in zip(parts, sizes, strict=True):
                    found = crc32(part.read(size // len(sums)), found)
                bad += written not in (0, found or 1)
            if bad:
                what = f"{counted(bad, 'batches')} of answers that are not what was written"
                yield f"{known.with_suffix('')}.*: holds {what}"
