"""Resuming a run: which checkpoint, whether the run is the same, and what to set aside.

A run folder holds one course. If a run resumes an earlier checkpoint, what came after it is set aside as a run
folder of its own:

OUT/abandoned-1/   recipe.yaml, environment.json, run.json, metrics.jsonl as they were; the later checkpoints; final
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nlptool import weights_record
from nlptool.atomic_files import notify_recomputed
from nlptool.console import Console
from nlptool.errors import DataError, UsageError
from nlptool.formatting import counted, significant
from nlptool.manifests import os_error_text, verify_manifest
from nlptool.recipe import Change, RecipeBlock
from nlptool.runs import folder, metrics_file, run_state
from nlptool.train import checkpoint
from nlptool.train.checkpoint import Facts, InvalidCheckpoint
from nlptool.train.config import TrainConfigBase
from nlptool.train.schedule import learning_rate
from nlptool.train.stages import FRESH, ResumedAt
from nlptool.train.trainer import State

JUMP = 1.1  # learning-rate jumps above this at a resume are reported
LEFT = ("recipe.yaml", "environment.json", weights_record.FILE, "metrics.jsonl")


@dataclass(frozen=True)
class ResumePoint:
    """The start of a resumed run."""

    run: Path
    path: Path | None
    """The checkpoint; None if the run had none yet."""
    facts: Facts | None
    """Its state.json."""
    broken: tuple[InvalidCheckpoint, ...] = ()
    """Newer ones that cannot be used."""

    @property
    def begun(self) -> ResumedAt:
        """How far the run had come."""
        return self.facts.begun if self.facts is not None else FRESH


def find(source: Path) -> ResumePoint:
    """The newest whole checkpoint of a run folder, or the named one.

    Raises DataError where there is no run, or no usable checkpoint.
    """
    named = (source / "state.json").exists()
    run = source.parent.parent if named else source
    if not (run / "recipe.yaml").exists():
        raise DataError(f"{run}: holds no run to resume", hint="--overwrite starts one there")
    path: Path | None = source
    broken: list[InvalidCheckpoint] = []
    if named:
        why = verify_manifest(source)
        path, broken = (None, [InvalidCheckpoint(source, why)]) if why else (source, [])
    else:
        path, broken = checkpoint.newest(run / "checkpoints")
    if path is None and broken:
        reasons = "; ".join(f"{bad.folder.name}: {bad.reason}" for bad in broken)
        raise DataError(f"{run}: no whole checkpoint ({reasons})", hint="--overwrite starts again")
    return ResumePoint(run, path, None if path is None else checkpoint.read(path), tuple(broken))


def check_same_run(
    past: ResumePoint, recipe: RecipeBlock, models: Mapping[str, Path], console: Console
) -> list[Change]:
    """Report and return the changes of a resumed run. Raises as `folder.check_resume`."""
    known = past.facts.models if past.facts is not None else {}
    changed = folder.check_resume(past.run, recipe, models, known=known)
    folder.report_changes(changed, console)
    for bad in past.broken:
        console.note(f"skipped {bad.folder}: {bad.reason}")
    return changed


def require_left(past: ResumePoint, steps: int, changed: list[Change]) -> None:
    """Raise UsageError where a run has all its steps already, and another recipe would claim its result."""
    step = past.begun.step
    if step < steps:
        return
    if step > steps:
        raise UsageError(
            f"{past.path}: is beyond the {counted(steps, 'steps')} requested",
            hint="set train.steps to at least as many, resume an earlier checkpoint, or choose another --out",
        )
    if others := [change for change in changed if change.path != "track"]:
        raise UsageError(
            f"{past.path}: has all its {counted(steps, 'steps')}, and nothing is left to be done with another"
            f"{folder.format_changes(others)}",
            hint="put these back, ask for more steps, or choose another --out",
        )


def held_out_at_end(
    past: ResumePoint, out: Path, changed: list[Change], console: Console, evaluated: bool
) -> dict[str, float] | None:
    """The held-out figures of a finished run with nothing left to write, which is reported; None where something is
    left.

    out: the output folder. evaluated: whether the run has held-out figures.
    """
    run, others = past.run, any(one.path != "track" for one in changed)
    if past.facts is None or others or run.resolve() != out.resolve():
        return None
    if (weights_record.read(run) or {}).get("ended") != past.facts.step:
        return None
    final = run / weights_record.FINAL
    if why := run_state.outdated(run):
        notify_recomputed(f"{final} {why}")
    if why or not final.is_dir():
        return None
    figures = metrics_file.held_out_at(run, past.facts.step)
    if evaluated and not figures:
        return None
    console.note(f"{run}: is finished, nothing to do")
    if why := weights_record.changed(final):
        console.note(f"{final / why}; where that was not meant, remove {final} and resume the run again")
    return figures


def lr_jump(train: TrainConfigBase, state: State, steps: int, seconds: float | None) -> list[str]:
    """A note where the learning rate jumps, since the schedule follows the current recipe and its total steps."""
    step, before = state.step, state.lr
    if not before or step >= steps:
        return []
    progress = step / steps if seconds is None else state.elapsed / seconds
    now = learning_rate(train, step, steps, min(1.0, progress))
    if 1 / JUMP < now / before < JUMP:
        return []
    return [f"the learning rate is now {significant(now)}; it was {significant(before)} in the last step"]


def set_aside(out: Path, step: int, console: Console) -> None:
    """Keep in a run folder the course up to `step`, and set later parts aside.

    Raises DataError when the disk refuses.
    """
    later = [path for path in checkpoint.steps(out / "checkpoints") if checkpoint.step_of(path) > step]
    if not later:
        return
    aside = run_state.next_abandoned(out)
    try:
        (aside / "checkpoints").mkdir(parents=True)
        for name in LEFT:
            if (out / name).exists():
                shutil.copy2(out / name, aside / name)
        if (out / "final").exists():
            (out / "final").rename(aside / "final")
        for path in later:
            path.rename(aside / "checkpoints" / path.name)
    except OSError as error:
        raise DataError(
            f"{aside}: {os_error_text(error)}", hint="free some space, or make the folder writable"
        ) from error
    names = ", ".join(path.name for path in reversed(later))
    console.note(f"set aside in {aside}, as the run goes back to step {step:,}: {names}")
