"""Schema graphs (Lin et al. 2019): the concepts of each statement, the paths that join them, and the edges among
them.

Those of a split are files of plain numbers, memory-mapped, the statements of all rows end to end:

PREFIX.schema/counts      int32 [S, 5]      concepts of the question, of the answer, nodes, edges, paths
PREFIX.schema/nodes       int32 [V]         entities: of the question, of the answer, then those on paths
PREFIX.schema/edges       int32 [M, 2]      edges within the question and within the answer, by places
PREFIX.schema/paths       int32 [K, T]      places of nodes, from the question to the answer; -1: none
PREFIX.schema/relations   int32 [K, T - 1]  relation r, or r + R against its direction; -1: none
PREFIX.schema/scores      float32 [K]       by TransE, 0 to 1; 1 without embeddings
"""

# S statements, V nodes, M edges, K paths, T nodes of a path, hops + 1

import hashlib
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from nlptool import __version__, atomic_files, manifests
from nlptool.errors import DataError
from nlptool.knowledge.adjacency import adjacency_of
from nlptool.knowledge.embeddings import WEIGHTS, EntityEmbeddings
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.grounding import Grounder, Lemmatiser
from nlptool.text.worker_processes import follow_reader, interrupts_held

AT_ONCE = 1000  # statements of a batch
FEW = 4  # batches; fewer statements are done before a second process has started
COUNTS = ("question", "answer", "nodes", "edges", "paths")
FILES = ("counts", "nodes", "edges", "paths", "relations", "scores")
AGAIN = "remove the folder, and the rows are made anew"

Text = tuple[str, str]
"""A question and one of its answers."""
Arrays = dict[str, NDArray[Any]]


class SchemaJob(NamedTuple):
    """All settings that decide a schema graph, besides its texts."""

    graph: str
    embeddings: str | None
    language: str | None
    """Language of lemmas; None: words are not lemmatised."""
    stop_words: bool
    drop: tuple[str, ...]
    """Relations to leave out."""
    hops: int
    most: int
    """Most paths of a pair."""


class SchemaGraphBuilder:
    """Builds schema graphs of statements. Raises DataError, UsageError for a missing graph or language."""

    def __init__(self, job: SchemaJob) -> None:
        graph = Graph(Path(job.graph))
        vectors, sources = None, [graph.fingerprint]
        if job.embeddings is not None:
            found = EntityEmbeddings(Path(job.embeddings), graph)
            vectors = found.entities, found.relations
            sources.append(manifests.digest(found.path / WEIGHTS))
        self.fingerprint = ":".join(sources)
        self.job = job
        self.grounder = Grounder(graph, Lemmatiser(job.language), stop_words=job.stop_words)
        self.adjacency = adjacency_of(graph, vectors, drop=job.drop, stop_words=job.stop_words)

    def __call__(self, texts: list[Text]) -> Arrays:
        """The arrays of a batch of statements, and how many of their pairs have `unfinished` paths."""
        grounded = [self.grounder(*text) for text in texts]
        pairs = [(q, a) for one in grounded for a in one.answer for q in one.question]
        unique, places = np.unique(np.array(pairs, np.int64).reshape(-1, 2), axis=0, return_inverse=True)
        found = self.adjacency.simple_paths(unique, self.job.hops, self.job.most)
        bounds = np.searchsorted(found.pairs, np.arange(len(unique) + 1))

        counts, nodes, edges, paths, chosen, at = [], [], [], [], [], 0
        for question, answer in grounded:
            number = len(question) * len(answer)
            own = places.reshape(-1)[at : at + number]
            at += number
            rows = np.concatenate(
                [np.arange(bounds[p], bounds[p + 1]) for p in own] or [np.empty(0, np.int64)]
            )
            through = found.nodes[rows]
            ends = np.array([*question, *answer], np.int64)
            others = np.setdiff1d(through, np.append(ends, -1))
            all_nodes = np.concatenate([ends, others])
            order = np.argsort(all_nodes)
            placed = order[
                np.searchsorted(all_nodes, np.maximum(through, 0), sorter=order) % max(len(order), 1)
            ]
            paths.append(np.where(through < 0, -1, placed))
            within = [self._within(np.array(side, np.int64), first) for side, first in
                      ((question, 0), (answer, len(question)))]  # fmt: skip
            edges.extend(within)
            nodes.append(all_nodes)
            chosen.append(rows)
            counts.append([len(question), len(answer), len(all_nodes), sum(map(len, within)), len(rows)])
        rows = np.concatenate(chosen)
        return {
            "counts": np.array(counts, np.int32).reshape(-1, len(COUNTS)),
            "nodes": np.concatenate(nodes).astype(np.int32),
            "edges": np.concatenate(edges).astype(np.int32),
            "paths": np.concatenate(paths).astype(np.int32),
            "relations": found.relations[rows].astype(np.int32),
            "scores": found.scores[rows],
            "unfinished": np.array([found.unfinished], np.int32),
        }

    def _within(self, concepts: NDArray[np.int64], first: int) -> NDArray[np.int64]:
        """Edges among concepts, as their places from `first`, [M, 2], each once."""
        one, other = np.triu_indices(len(concepts), 1)
        there = self.adjacency.edges(concepts[one], concepts[other]) >= 0
        return np.stack([one[there], other[there]], 1) + first


class Portion(NamedTuple):
    """Schema graphs of some statements."""

    arrays: Arrays
    damaged: str | None = None
    """Why cached ones could not be read; None: they could, or there were none."""


class SchemaGraphWriter:
    """Builds schema graphs of statements and writes them to PREFIX.schema, in the order of the statements.

    cache: a folder that keeps each batch as soon as it is built, under a digest of all its inputs, so that work that
    was stopped resumes and other runs reuse it. workers: processes; the bytes do not depend on them. Raises DataError
    when a worker dies.
    """

    def __init__(self, builder: SchemaGraphBuilder, prefix: Path, cache: Path | None, workers: int) -> None:
        self.unfinished = 0
        """Pairs of concepts searched to fewer hops."""
        self._workers = workers
        self._cache = _PortionCache(cache, builder)
        self._texts: list[Text] = []
        self._pool: ProcessPoolExecutor | None = None
        self._pending: deque[Future[Portion]] = deque()
        self._done = 0
        folder = folder_of(prefix)
        folder.mkdir(parents=True, exist_ok=True)
        self._files = {name: (folder / name).open("wb") for name in FILES}

    def add(self, texts: Iterable[Text]) -> None:
        """Add statements."""
        self._texts += texts
        while len(self._texts) >= AT_ONCE:
            self._hand_out(self._texts[:AT_ONCE])
            self._texts = self._texts[AT_ONCE:]

    def close(self) -> None:
        """Write what remains."""
        if self._texts:
            self._hand_out(self._texts)
        while self._pending:
            self._write(self._result())
        self.abandon()

    def abandon(self) -> None:
        """Stop the workers and close the files; does nothing after `close`."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        for file in self._files.values():
            file.close()

    def _hand_out(self, texts: list[Text]) -> None:
        self._done += 1
        if self._workers == 1 or self._done <= FEW:
            self._write(self._cache.get_or_build(texts))
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), _start, (self._cache,))
        with interrupts_held():  # the pool starts its processes one by one, as batches come
            self._pending.append(self._pool.submit(_make, texts))
        if len(self._pending) > 2 * self._workers:
            self._write(self._result())

    def _result(self) -> Portion:
        try:
            return self._pending.popleft().result()
        except BrokenProcessPool:
            raise DataError(
                "a worker process died; most often the system ran out of memory",
                hint="search fewer paths: task.paths.hops, task.paths.max_paths",
            ) from None

    def _write(self, portion: Portion) -> None:
        if portion.damaged:
            atomic_files.notify_recomputed(portion.damaged, "they are")
        for name, file in self._files.items():
            file.write(np.ascontiguousarray(portion.arrays[name]).data)
        self.unfinished += int(portion.arrays["unfinished"].sum())


def folder_of(prefix: Path) -> Path:
    """The folder of a split's schema graphs."""
    return prefix.with_name(f"{prefix.name}.schema")


class _PortionCache:
    """Batches by a digest of their inputs."""

    def __init__(self, folder: Path | None, builder: SchemaGraphBuilder) -> None:
        self.folder, self.builder = folder, builder
        job = builder.job._replace(graph="", embeddings=None)
        self._front = f"{__version__} {builder.fingerprint} {job!r}".encode()

    def get_or_build(self, texts: list[Text]) -> Portion:
        """The cached batch if it is whole, else a new one."""
        if self.folder is None:
            return Portion(self.builder(texts))
        named = hashlib.sha256(self._front)
        for text in texts:
            named.update(repr(text).encode("utf8", "surrogatepass"))
        path = self.folder / f"{named.hexdigest()[:32]}.safetensors"
        try:
            return Portion(load(atomic_files.read_bytes(path)))
        except (FileNotFoundError, DataError, SafetensorError) as error:
            missing = isinstance(error, FileNotFoundError)
        damaged = None if missing else f"{path}: schema graphs that are not as they were written"
        found = self.builder(texts)
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_files.write_bytes(path, save(found))
        return Portion(found, damaged)


_ours: list[_PortionCache] = []  # the one cache of a worker process


def _start(cache: _PortionCache) -> None:
    follow_reader()
    _ours.append(cache)


def _make(texts: list[Text]) -> Portion:
    return _ours[0].get_or_build(texts)


class SchemaGraphStore:
    """The schema graphs of a split. Raises DataError where the files are damaged."""

    def __init__(self, prefix: Path, hops: int) -> None:
        folder = folder_of(prefix)
        self.hops = hops
        self.counts = _opened(folder / "counts", "<i4", len(COUNTS))
        """[S, 5], as COUNTS has them."""
        self.begins = np.concatenate([np.zeros((1, 5), np.int64), np.cumsum(self.counts, 0, dtype=np.int64)])
        """[S + 1, 5], offsets of each statement's part of the other arrays."""
        self.nodes = _opened(folder / "nodes", "<i4", 0)
        self.edges = _opened(folder / "edges", "<i4", 2)
        self.paths = _opened(folder / "paths", "<i4", hops + 1)
        self.relations = _opened(folder / "relations", "<i4", hops)
        self.scores = _opened(folder / "scores", "<f4", 0)
        ends = self.begins[-1, 2:].tolist()
        sizes = [len(self.nodes), len(self.edges), len(self.paths)]
        if sizes != ends or len(self.relations) != ends[2] or len(self.scores) != ends[2]:
            raise DataError(f"{folder}: the files do not go together", hint=AGAIN)

    def __len__(self) -> int:
        """Number of statements."""
        return len(self.counts)


def _opened(path: Path, kind: str, width: int) -> NDArray[Any]:
    try:
        size = path.stat().st_size
        flat = np.memmap(path, kind, "r") if size else np.empty(0, kind)
        return np.asarray(flat.reshape(-1, width) if width else flat)
    except (OSError, ValueError):
        raise DataError(f"{path}: is missing or cut off", hint=AGAIN) from None
