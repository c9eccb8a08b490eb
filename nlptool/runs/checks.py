"""Integrity checks of runs, token stores and models: digests of files, finite weights, a round trip."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nlptool import weights_record
from nlptool.atomic_files import read_json
from nlptool.errors import DataError, NlptoolError
from nlptool.formatting import counted
from nlptool.manifests import differs, verify_manifest
from nlptool.recipe import kept_source
from nlptool.runs import metrics_file, run_state

if TYPE_CHECKING:
    from torch import Tensor


class Check(NamedTuple):
    """The result of one check; `good` is None for information."""

    subject: str
    good: bool | None
    detail: str


def check_store(path: Path) -> Iterator[Check]:
    """A token store: the digests of its files, and its tokenizer."""
    from nlptool.text.store import SPLITS, TokenStore
    from nlptool.text.tokenizer import Tokenizer

    try:
        store = TokenStore(path)
        if store.files:
            yield whole("files", differs(path, store.files))
        else:
            yield Check("files", None, "an earlier version wrote the store, without digests")
        for name in SPLITS:
            split = store.split(name)
            detail = f"{counted(len(split), 'documents')}, {counted(split.tokens, 'tokens')}"
            yield Check(name, True, detail)
        yield Check("tokenizer", True, counted(Tokenizer.of_store(store).vocab_size, "tokens"))
    except NlptoolError as error:
        yield Check("store", False, error.message)


def whole(subject: str, why: str | None) -> Check:
    """Whether files match their digests. why: the first mismatch."""
    return Check(subject, why is None, why or "every file has the digest it was written with")


def check_run(run: Path) -> Iterator[Check]:
    """A training run: recipe and state, checkpoints, metrics.jsonl, final/."""
    from safetensors.torch import load_file

    from nlptool.train import checkpoint

    yield _own_files(run)
    for path in checkpoint.steps(run / "checkpoints"):
        why = verify_manifest(path)
        yield whole(path.name, why)
        if why is None:
            yield _finite(load_file(path / "model.safetensors"), path.name)
    yield _metrics(run)
    if (run / "teacher").is_dir():
        from nlptool.runs import teacher_cache

        yield whole("teacher", "; ".join(teacher_cache.faults(run / "teacher")) or None)
    if (run / "final").is_dir():
        try:
            why = run_state.outdated(run)
            yield Check("final", None if why else True, why or "matches the end of the run")
        except DataError as error:
            yield Check("final", False, error.message)
        yield from (check_vectors if is_vectors(run / "final") else check_model)(run / "final")
    else:
        yield Check("final", None, "not there yet: the run has not ended")


def _own_files(run: Path) -> Check:
    """The files that a run needs to be resumed."""
    try:
        kept_source(run)
        for name in ("environment.json", weights_record.FILE):
            if os.path.lexists(run / name):
                read_json(run / name, dict)
    except DataError as error:
        return Check("recipe", False, error.message)
    return Check("recipe", True, "can be read, and so can what the run ran on")


def is_vectors(final: Path) -> bool:
    """Whether a folder holds embeddings of a graph rather than a model."""
    try:
        return "graph_fingerprint" in read_json(final / "config.json", dict)
    except (FileNotFoundError, DataError):
        return False


def check_vectors(final: Path) -> Iterator[Check]:
    """Embeddings of entities and relations: digests, finite numbers, numbers of rows."""
    import numpy as np

    from nlptool.knowledge.embeddings import ENTITY, RELATION, mapped_tensors

    try:
        if written := weights_record.weights(final):
            yield whole("final digest", differs(final, written) or weights_record.changed(final))
        tensors = mapped_tensors(final / "model.safetensors")
        bad = [name for name, table in tensors.items() if table.size and not np.isfinite(table).all()]
        yield Check("final weights", not bad, f"not finite: {', '.join(bad)}" if bad else "all finite")
        config = read_json(final / "config.json", dict)
        sizes = [config.get("entities"), config.get("relations")]
        found = [len(tensors[name]) if name in tensors else None for name in (ENTITY, RELATION)]
        yield Check("vectors", found == sizes, f"of {found[0]} entities and {found[1]} relations")
    except (NlptoolError, FileNotFoundError) as error:
        yield Check("final", False, str(error))


def check_graph(path: Path) -> Iterator[Check]:
    """A knowledge graph: the digests of its files, and its sizes."""
    from nlptool.knowledge.graph import Graph

    try:
        graph = Graph(path)
        yield whole("files", differs(path, graph.info["files"]))
        yield Check("graph", True, ", ".join(f"{number:,} {name}" for name, number in graph.counts.items()))
    except NlptoolError as error:
        yield Check("graph", False, error.message)


def check_model(final: Path) -> Iterator[Check]:
    """The exported folder: finite weights, unchanged after a round trip through nlptool's names."""
    import torch

    from nlptool.models import huggingface
    from nlptool.text.tokenizer import Tokenizer

    try:
        if written := weights_record.weights(final):
            yield whole("final digest", differs(final, written) or weights_record.changed(final))
        tensors = huggingface.read_tensors(final)
        yield _finite(tensors, "final")
        loaded = huggingface.load_pretrained(final)
        again = loaded.config.hf().to_hf(loaded.state)
        same = again.keys() == tensors.keys() and all(
            torch.equal(again[name], tensors[name]) for name in tensors
        )
        yield Check("round trip", same, f"{counted(len(tensors), 'tensors')} read, renamed and written alike")
        tokenizer = Tokenizer.load(final)
        size = tokenizer.vocab_size
        detail = f"{size:,} tokens, the model has {loaded.vocab_size:,}"
        padded = f"; {counted(loaded.vocab_size - size, 'rows')} of its embeddings are padding"
        fits = size <= loaded.vocab_size
        yield Check("tokenizer", fits, detail + padded if fits and size < loaded.vocab_size else detail)
        if not tokenizer.coverage.complete:
            detail = "letters that it does not know are unknown tokens or lost; tokenize reports how many of a text"
            yield Check("spelling", None, detail)
    except NlptoolError as error:
        yield Check("final", False, error.message)


def _finite(tensors: "Mapping[str, Tensor]", name: str) -> Check:
    bad = [key for key, tensor in tensors.items() if not tensor.float().isfinite().all()]
    return Check(f"{name} weights", not bad, f"not finite: {', '.join(bad[:3])}" if bad else "all finite")


def _metrics(run: Path) -> Check:
    try:
        lines = metrics_file.read(run)
    except DataError as error:
        return Check("metrics.jsonl", False, error.message)
    steps = [line["step"] for line in lines]
    if not metrics_file.ends_whole(run / metrics_file.FILE):
        return Check("metrics.jsonl", False, "its last line is cut; resuming the run takes it away")
    detail = f"{counted(len(lines), 'lines')}, up to step {max(steps, default=0):,}"
    return Check("metrics.jsonl", steps == sorted(steps), detail)
