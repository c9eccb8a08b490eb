"""A run's metrics: metrics.jsonl always, TensorBoard and Weights & Biases on request."""

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from nlptool.atomic_files import append_line, read_bytes, read_records, write_text
from nlptool.errors import DataError, UsageError
from nlptool.metric_table import held_out

FILE = "metrics.jsonl"
Tracker = Literal["tensorboard", "wandb"]


class Metrics:
    """Appends one JSON object a line to FOLDER/metrics.jsonl, and mirrors it to the trackers.

    step: the step to resume from; lines of later steps, left by a killed run, are dropped. With several ranks only
    the first writes metrics. Raises UsageError when a tracker's package is not installed.
    """

    def __init__(
        self, folder: Path, step: int, trackers: tuple[Tracker, ...], recipe: dict[str, Any]
    ) -> None:
        self._tensorboard = _tensorboard(folder, step) if "tensorboard" in trackers else None
        self._wandb = _wandb(folder, recipe) if "wandb" in trackers else None
        self._path = folder / FILE
        lines = read(folder)
        kept = [line for line in lines if step and line["step"] <= step]
        if len(kept) < len(lines) or not ends_whole(self._path):
            write_text(self._path, "".join(f"{json.dumps(line)}\n" for line in kept))

    def write(self, step: int, **figures: float) -> None:
        """Record figures of a step. Names may contain slashes: `heldout/mlm`."""
        append_line(self._path, json.dumps({"step": step} | figures))
        if self._tensorboard is not None:
            for name, value in figures.items():
                self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(figures, step=step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()
        if self._wandb is not None:
            self._wandb.finish(exit_code=0 if kind is None else 1)


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise _missing("tensorboard") from None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)


def _wandb(folder: Path, recipe: dict[str, Any]) -> Any:
    try:
        import wandb
    except ImportError:
        raise _missing("wandb") from None
    return wandb.init(project="nlptool", name=folder.name, dir=str(folder), config=recipe, resume="allow")


def read(run: Path) -> list[dict[str, Any]]:
    """The figures of a run by line, oldest first; a line truncated by a kill is skipped.

    Raises DataError for a file that holds anything else.
    """
    path, remedy = run / FILE, "remove the line; the figures of its step are lost"
    try:
        found = read_records(path, remedy)
    except FileNotFoundError:
        return []
    for number, line in enumerate(found, start=1):
        if not isinstance(line.get("step"), int):
            raise DataError(f"{path}:{number}: has no step", hint=remedy)
        if wrong := [name for name, value in line.items() if not isinstance(value, int | float)]:
            raise DataError(f"{path}:{number}: {wrong[0]} is not a number", hint=remedy)
    return found


def series(run: Path) -> dict[str, dict[int, float]]:
    """The finite figures of a run by name and step; those of steps that were repeated are dropped."""
    found: dict[str, dict[int, float]] = {}
    newest = 0
    for line in read(run):
        step = line["step"]
        if step < newest:
            found = {name: {s: v for s, v in points.items() if s < step} for name, points in found.items()}
        newest = step
        for name, value in line.items():
            if name != "step" and isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, {})[step] = value
    return {name: points for name, points in found.items() if points}


def ends_whole(path: Path) -> bool:
    """Whether the last line of a file is complete."""
    return not path.exists() or read_bytes(path)[-1:] in (b"", b"\n")


def last(run: Path, name: str, step: int) -> float | None:
    """The newest value of a figure in a run's metrics.jsonl, up to a step."""
    values = [line[name] for line in read(run) if name in line and line["step"] <= step]
    return values[-1] if values else None


def held_out_at(run: Path, step: int) -> dict[str, float]:
    """The held-out figures of a step, without the prefix `heldout/`; empty if it was not evaluated."""
    found: dict[str, float] = {}
    for line in read(run):
        found |= held_out(line) if line["step"] == step else {}
    return found


def _missing(package: str) -> UsageError:
    return UsageError(f"track: {package} is not installed", hint=f"pip install {package}")
