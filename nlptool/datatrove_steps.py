"""`nlptool corpus` as steps of a datatrove pipeline, whose executors share the work out: local processes, Slurm, Ray.

    from datatrove.executor import LocalPipelineExecutor
    from nlptool.datatrove_steps import FilterShards, WriteCorpus

    given = {"recipe": "corpus/fineweb", "changes": {"sources.web.files": "/data/*.jsonl.gz"}, "out": "/data/corpus"}
    filtered = LocalPipelineExecutor([FilterShards(**given)], tasks=200, workers=16, logging_dir="logs/filter")
    LocalPipelineExecutor([WriteCorpus(**given)], logging_dir="logs/write", depends=filtered).run()

A task does what `--shard I/N` does, so the corpus has the bytes of any other run. This module alone imports datatrove.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nlptool.cli import app
from nlptool.extras import install
from nlptool.runs import lock

try:
    from datatrove.pipeline.base import PipelineStep
except ImportError as error:
    raise ImportError(
        f"nlptool.datatrove_steps needs the package datatrove: {install('corpus-cluster')}"
    ) from error


class _CorpusStep(PipelineStep):  # type: ignore[misc]  # datatrove has no types
    """What both steps are told: they go to other machines, so it is nothing but text.

    recipe: a file, or the name of a shipped one. changes: keys with dots, and their values. out: the folder of the
    corpus, which every task must see under this name.
    """

    type = "nlptool"

    def __init__(self, recipe: str | Path, out: str | Path, changes: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        given = {"workers": 1} | dict(changes or {})  # the executor has its tasks side by side
        self._words = ["corpus", str(recipe), "--out", str(out)]
        self._words += [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items()]

    def _carry_out(self, *options: str) -> None:
        try:
            app(args=[*self._words, *options], prog_name="nlptool", standalone_mode=False)
        finally:
            lock.release()  # the process may go on with other tasks


class FilterShards(_CorpusStep):
    """The first phase, a task's share of it: every block that looks at single documents."""

    name = "corpus: filter"

    def run(self, data: Iterable[Any] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Do task `rank` of `world_size`, which are counted from 0. Raises NlptoolError."""
        yield from data or ()
        self._carry_out("--shard", f"{rank + 1}/{world_size}")


class WriteCorpus(_CorpusStep):
    """What comes after all shards, in one task: repeated lines, duplicates, shares of sources, data/ and the report."""

    name = "corpus: write"

    def run(self, data: Iterable[Any] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Write the corpus; the work of the first of the tasks. Raises NlptoolError."""
        yield from data or ()
        if rank == 0:
            self._carry_out("--resume", "auto")
