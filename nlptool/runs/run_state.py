"""The state of a run: its goal, whether it has ended, and whether its final/ is the result.

RUN/run.json         the goal in steps or seconds, and the step at which it ended: null while it runs
RUN/final/run.json   the step of these weights, the last step of the run at that time, digests of the weights
RUN/abandoned-1/     the course set aside when an earlier checkpoint was resumed: a run folder of its own

A run resumed for more steps has not ended, though it still has the final/ of its first end.
"""

from pathlib import Path
from typing import Any, NamedTuple

from nlptool import atomic_files
from nlptool.manifests import differs_at_a_glance
from nlptool.weights_record import FILE, FINAL, read, superseded, weights

ABANDONED = "abandoned"


class Goal(NamedTuple):
    """The goal of a run."""

    steps: int | None
    seconds: float | None
    """A budget of time, in place of steps."""
    stages: tuple[int, ...] = (0,)
    """First step, from 0, of each stage."""


def next_abandoned(run: Path) -> Path:
    """A new folder for what a run sets aside when it resumes an earlier checkpoint."""
    number = 1
    while (path := run / f"{ABANDONED}-{number}").exists():
        number += 1
    return path


def is_abandoned(run: Path) -> bool:
    """Whether a folder was set aside by its run."""
    return run.name.startswith(f"{ABANDONED}-")


def start(run: Path, goal: Goal) -> None:
    """Record that a run is running."""
    _write(run, goal._asdict() | {"ended": None})


def finish(run: Path, step: int) -> None:
    """Record that a run has ended, once its final/ is whole."""
    _write(run, (read(run) or {}) | {"ended": step})


def goal(run: Path) -> Goal | None:
    """The goal of a run; None for runs of versions that did not record it."""
    written = read(run)
    if written is None:
        return None
    return Goal(written.get("steps"), written.get("seconds"), tuple(written.get("stages", (0,))))


def has_ended(run: Path) -> bool:
    """Whether a run has ended, and final/ is its result."""
    return (run / FINAL).is_dir() and outdated(run) is None


def outdated(run: Path) -> str | None:
    """Why a run's final/ is not its current result; None where it is, or there is none."""
    if why := superseded(run):
        return why
    if read(run) is None or not (run / FINAL).is_dir():
        return None
    why = differs_at_a_glance(run / FINAL, weights(run / FINAL))
    return f"is damaged: {why}" if why else None


def _write(folder: Path, values: dict[str, Any]) -> None:
    atomic_files.write_json(folder / FILE, values)
