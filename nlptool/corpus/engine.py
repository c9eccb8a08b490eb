"""The first phase: worker processes apply the filters to every stretch of the input; each result is a folder.

A folder is renamed when complete, so a run that was killed repeats only unfinished stretches. Workers load neither
torch nor a tokenizer. A shard processes its part of the stretches; any later run finds the results.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from nlptool.atomic_files import read_json, write_json
from nlptool.corpus import records_file
from nlptool.corpus.config import CorpusSource, Shard
from nlptool.corpus.document import Document
from nlptool.corpus.pipeline import Blocks, Pipeline, record
from nlptool.corpus.statistics import Statistics
from nlptool.corpus.stretches import Group, Part, stretches
from nlptool.errors import DataError
from nlptool.manifests import atomic_folder
from nlptool.text.corpus import ReadStats
from nlptool.text.worker_processes import follow_reader, interrupts_held

KEPT, DROPPED, KEYS, STATISTICS = "kept.jsonl.zst", "dropped.jsonl.zst", "keys.npy", "statistics.json"
LINES = "lines.npy"
Task = Callable[[Path, Pipeline, Any], None]
"""Writes a folder atomically."""


def run(
    folder: Path,
    groups: list[Group],
    sources: Mapping[str, CorpusSource],
    plan: Blocks,
    workers: int,
    shard: Shard,
    progress: Callable[[float], None],
) -> dict[str, ReadStats]:
    """Process all stretches of a shard that `folder` does not hold yet; returns what was read, by source.

    progress: called with the bytes read from the sources. Raises DataError.
    """
    work = Work(plan, workers)
    tallies: dict[str, ReadStats] = {name: ReadStats() for name in sources}
    done = 0.0
    try:
        for group in groups:
            if not shard.has_group(group.number, len(groups)):
                continue
            tally = _known(folder, group)
            if tally is None:
                tally, parts, whole = ReadStats(), 0, True
                for part, documents in stretches(group, sources[group.source], tally):
                    parts += 1
                    progress(done + tally.read)
                    if shard.has(part.group, part.number, len(groups)):
                        work.do(write_stretch, folder / part.name, documents)
                    elif not (folder / part.name).is_dir():
                        whole = False
                if whole:
                    work.finish()
                    _write_known(folder, group, tally, parts)
            _add(tallies[group.source], tally)
            done += group.size
            progress(done)
        work.finish()
    finally:
        work.close()
    return tallies


def _known(folder: Path, group: Group) -> ReadStats | None:
    """What was read of a group whose stretches are all done."""
    path = folder / f"{group.number:06d}.json"
    try:
        value = read_json(path, dict, "remove it and run again with --resume auto")
        numbers = range(value["parts"])
        tally = ReadStats(
            documents=value["documents"], longest_line=value["longest_line"], read=value["read"]
        )
        tally.dropped.update(value["dropped"])
        tally.repaired.update(value["repaired"])
    except (FileNotFoundError, KeyError, TypeError):
        return None
    whole = all((folder / Part(group.number, number).name).is_dir() for number in numbers)
    return tally if whole else None


def _write_known(folder: Path, group: Group, tally: ReadStats, parts: int) -> None:
    write_json(folder / f"{group.number:06d}.json", vars(tally) | {"parts": parts})


def _add(tally: ReadStats, other: ReadStats) -> ReadStats:
    tally.documents += other.documents
    tally.dropped.update(other.dropped)
    tally.repaired.update(other.repaired)
    tally.longest_line = max(tally.longest_line, other.longest_line)
    tally.read += other.read
    return tally


class Work:
    """Distributes tasks over processes; one worker is this process."""

    def __init__(self, plan: Blocks, workers: int) -> None:
        self._plan, self._workers = plan, workers
        self._pool: ProcessPoolExecutor | None = None
        self._own: Pipeline | None = None
        self._pending: set[Future[None]] = set()

    def do(self, task: Task, path: Path, given: Any) -> None:
        """Write a folder unless it exists already; waits while many tasks are running."""
        if path.is_dir():
            return
        if self._workers == 1:
            self._own = self._own or Pipeline(self._plan)
            task(path, self._own, given)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), _start, (self._plan,))
        try:
            with interrupts_held():  # the pool starts its processes one by one
                self._pending.add(self._pool.submit(_do, task, path, given))
            self._wait(self._workers + 2)
        except BrokenProcessPool:
            raise _died() from None

    def finish(self) -> None:
        """Wait for all running tasks."""
        try:
            self._wait(0)
        except BrokenProcessPool:
            raise _died() from None

    def _wait(self, most: int) -> None:
        while len(self._pending) > most:
            done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def close(self) -> None:
        """End the processes and abandon running tasks."""
        if self._own is not None:
            self._own.close()
        if self._pool is not None:
            self._pool.shutdown(wait=not self._pending, cancel_futures=True)


def _died() -> DataError:
    return DataError(
        "a worker process died; most often the system ran out of memory",
        hint="use fewer with workers=1, and resume with --resume auto",
    )


_ours: list[Pipeline] = []  # the pipeline of a worker process


def _start(plan: Blocks) -> None:
    follow_reader()
    _ours.append(Pipeline(plan))


def _do(task: Task, path: Path, given: Any) -> None:
    task(path, _ours[0], given)


def write_stretch(path: Path, pipeline: Pipeline, documents: list[Document]) -> None:
    """Process a stretch and write its folder atomically."""
    found = pipeline(documents)
    with atomic_folder(path) as aside:
        records_file.write(aside / KEPT, map(record, found.kept))
        records_file.write(aside / DROPPED, found.dropped)
        np.save(aside / KEYS, found.keys)
        if len(found.lines):
            np.save(aside / LINES, found.lines)
        write_json(aside / STATISTICS, found.statistics.to_json())


def parts(folder: Path) -> list[Path]:
    """The folders of all finished stretches, in the order of the input."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def statistics(folders: list[Path]) -> Statistics:
    """The sum over stretches. Raises DataError where one is damaged."""
    found = Statistics()
    for folder in folders:
        path = folder / STATISTICS
        value: dict[str, Any] = read_json(path, dict, f"remove {folder} and run again with --resume auto")
        found.add(Statistics.from_json(value))
    return found
