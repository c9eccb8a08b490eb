"""The state of a run: how far it goes, whether it has ended, and whether its final/ is what it ended with.

RUN/run.json         the steps or seconds that it goes to, and the step at which it has ended: null while it goes on
RUN/final/run.json   the step whose weights these are, the step at which the run ended then, digests of the weights
RUN/abandoned-1/     what a run that went back to an earlier checkpoint has left: a run folder of its own

A run that is resumed for more steps has not ended, though the final/ of its first end lies there still.
"""

from pathlib import Path
from typing import Any, NamedTuple

from nlptool import atomic_files
from nlptool.manifests import differs_at_a_glance
from nlptool.weights_record import FILE, FINAL, read, superseded, weights

ABANDONED = "abandoned"


class Goal(NamedTuple):
    """Where a run goes."""

    steps: int | None
    seconds: float | None
    """A budget of time, in place of steps."""
    stages: tuple[int, ...] = (0,)
    """The step, from 0, at which each stage begins."""


def next_abandoned(run: Path) -> Path:
    """Where to put what a run leaves that goes back to an earlier checkpoint: a new folder in it."""
    number = 1
    while (path := run / f"{ABANDONED}-{number}").exists():
        number += 1
    return path


def is_abandoned(run: Path) -> bool:
    """Whether a folder holds what its run has left."""
    return run.name.startswith(f"{ABANDONED}-")


def start(run: Path, goal: Goal) -> None:
    """Write down that a run is running."""
    _write(run, goal._asdict() | {"ended": None})


def finish(run: Path, step: int) -> None:
    """Write down that a run has ended, once its final/ is whole."""
    _write(run, (read(run) or {}) | {"ended": step})


def goal(run: Path) -> Goal | None:
    """Where a run goes; None where it was made by a version that did not write it down."""
    written = read(run)
    if written is None:
        return None
    return Goal(written.get("steps"), written.get("seconds"), tuple(written.get("stages", (0,))))


def has_ended(run: Path) -> bool:
    """Whether a run has reached its end, and final/ is what it ended with."""
    return (run / FINAL).is_dir() and outdated(run) is None


def outdated(run: Path) -> str | None:
    """Why a run's final/ is not what the run has come to; None where it is, or where there is none."""
    if why := superseded(run):
        return why
    if read(run) is None or not (run / FINAL).is_dir():
        return None
    why = differs_at_a_glance(run / FINAL, weights(run / FINAL))
    return f"is damaged: {why}" if why else None


def _write(folder: Path, values: dict[str, Any]) -> None:
    atomic_files.write_json(folder / FILE, values)
