"""`nlptool corpus` as steps of a datatrove pipeline, for its local, Slurm and Ray executors.

    from datatrove.executor import LocalPipelineExecutor
    from nlptool.datatrove_steps import FilterShards, WriteCorpus

    given = {"recipe": "corpus/fineweb", "changes": {"sources.web.files": "/data/*.jsonl.gz"}, "out": "/data/corpus"}
    filtered = LocalPipelineExecutor([FilterShards(**given)], tasks=200, workers=16, logging_dir="logs/filter")
    LocalPipelineExecutor([WriteCorpus(**given)], logging_dir="logs/write", depends=filtered).run()

A task does the same work as `--shard I/N`, so the corpus is byte-identical to that of any other run. Only this module
imports datatrove.
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
    """Base of both steps. Executors pickle steps and send them to other machines, so it holds only text.

    recipe: a file, or the name of a shipped one. changes: keys with dots, and their values. out: the folder of the
    corpus, which every task must see under this name.
    """

    type = "nlptool"

    def __init__(self, recipe: str | Path, out: str | Path, changes: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        given = {"workers": 1} | dict(changes or {})  # the executor runs tasks side by side
        self._words = ["corpus", str(recipe), "--out", str(out)]
        self._words += [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items()]

    def _carry_out(self, *options: str) -> None:
        try:
            app(args=[*self._words, *options], prog_name="nlptool", standalone_mode=False)
        finally:
            lock.release()  # the process may run further tasks


class FilterShards(_CorpusStep):
    """The first phase: one task's share of the filters that look at single documents."""

    name = "corpus: filter"

    def run(self, data: Iterable[Any] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Do task `rank` of `world_size`, which are counted from 0. Raises NlptoolError."""
        yield from data or ()
        self._carry_out("--shard", f"{rank + 1}/{world_size}")


class WriteCorpus(_CorpusStep):
    """Everything after the shards, in one task: repeated lines, duplicates, shares of sources, data/ and the report."""

    name = "corpus: write"

    def run(self, data: Iterable[Any] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Write the corpus; only the first task does. Raises NlptoolError."""
        yield from data or ()
        if rank == 0:
            self._carry_out("--resume", "auto")
