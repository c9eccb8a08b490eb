"""Where a run's figures go: metrics.jsonl always, TensorBoard and Weights & Biases when asked for."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from nlptool.errors import UsageError

Tracker = Literal["tensorboard", "wandb"]


class Metrics:
    """Appends one JSON object a line to FOLDER/metrics.jsonl, and mirrors it to the trackers.

    step: the step to go on from; lines of later steps, left by a run that was killed, are dropped. In a run
    of several ranks only the first keeps metrics.
    Raises UsageError when a tracker's package is not installed.
    """

    def __init__(
        self, folder: Path, step: int, trackers: tuple[Tracker, ...], recipe: dict[str, Any]
    ) -> None:
        self._tensorboard = _tensorboard(folder, step) if "tensorboard" in trackers else None
        self._wandb = _wandb(folder, recipe) if "wandb" in trackers else None
        path = folder / "metrics.jsonl"
        kept = [line for line in whole_lines(path) if json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf8")
        self._file = path.open("a", encoding="utf8")

    def write(self, step: int, **figures: float) -> None:
        """Record figures of a step. Names may hold slashes: `heldout/mlm`."""
        self._file.write(json.dumps({"step": step} | figures) + "\n")
        self._file.flush()
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
        self._file.close()
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


def whole_lines(path: Path) -> list[str]:
    """The lines that a kill did not cut."""
    if not path.exists():
        return []
    lines = path.read_text("utf8").split("\n")
    return [line for line in lines[:-1] if line.startswith("{") and line.endswith("}")]


def last(run: Path, name: str, step: int) -> float | None:
    """The newest value of a figure in a run's metrics.jsonl, up to a step."""
    lines = [json.loads(line) for line in whole_lines(run / "metrics.jsonl")]
    values = [line[name] for line in lines if name in line and line["step"] <= step]
    return values[-1] if values else None


def _missing(package: str) -> UsageError:
    return UsageError(f"track: {package} is not installed", hint="pip install 'nlptool[track]'")
