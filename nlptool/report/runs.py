"""What a run folder tells of a run: its recipe, its figures by step, what it ran on.

A run that is going on, was stopped, went on again or has no figure yet is a run like any other.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from nlptool import atomic_files, folder_kinds
from nlptool.errors import UsageError
from nlptool.metric_table import HELD_OUT, describe, objective_of
from nlptool.recipe import kept_source
from nlptool.runs import metrics_file, run_state
from nlptool.runs.run_state import Goal
from nlptool.terminal import clean

REMEDY = "restore it, or remove what is wrong in it"


class Series(NamedTuple):
    """One figure in the order of its steps."""

    steps: list[int]
    values: list[float]


@dataclass(frozen=True)
class Run:
    """A run folder as read."""

    name: str
    path: Path
    recipe: dict[str, Any]
    """With every default, as plain values."""
    environment: dict[str, Any]
    figures: dict[str, Series]
    """By their keys in the metric table; held-out ones are heldout/KEY."""
    finished: bool
    """Whether it has reached its end, and final/ is what it ended with."""
    goal: Goal | None
    """Where it goes; None where that was not written down."""
    best: int | None
    """The step whose checkpoint is the result, where that is not the last one."""
    unigram_entropy: float | None
    """Unigram entropy of the training tokens, where the store still lies where the recipe says."""
    baselines: Mapping[str, float] = field(default_factory=dict)
    """What the scores of fine-tuning are compared with, by figure."""
    baseline_name: str = ""
    """What these are: majority, chance, mean."""

    def last(self, figure: str) -> float | None:
        """The newest value of a figure, if it has any."""
        series = self.figures.get(figure)
        return series.values[-1] if series else None

    def ended(self, figure: str) -> float | None:
        """The value of a figure for what the run has made: that of its best step, where it takes that one."""
        series = self.figures.get(figure)
        if series is None or self.best not in series.steps:
            return self.last(figure)
        return series.values[series.steps.index(self.best)]

    @property
    def step(self) -> int:
        """The newest step with a figure; 0 where there is none."""
        return max((series.steps[-1] for series in self.figures.values()), default=0)

    @property
    def steps(self) -> int | None:
        """The steps that it goes to; None where a clock ends it, or nothing says so."""
        steps: int | None = self.recipe.get("train", {}).get("steps")
        return steps if self.goal is None else self.goal.steps

    @property
    def stages(self) -> list[int]:
        """The steps after which another stage begins, where that is known."""
        if self.goal is not None:
            return list(self.goal.stages[1:])
        shares = [stage["share"] for stage in self.recipe.get("train", {}).get("stages", ())]
        return [round(share * (self.steps or 0)) for share in accumulate(shares[:-1])]


def read_all(paths: Sequence[Path]) -> list[Run]:
    """The runs in these folders, each with a name of its own: the folder's, or else as much of its path as it takes.

    All runs of a folder that holds several, such as one a seed.
    Raises UsageError for a folder that is no run or given twice, DataError for files that cannot be read.
    """
    paths = [run for path in paths for run in inside(path)]
    resolved = [path.resolve() for path in paths]
    for path, whole in zip(paths, resolved, strict=True):
        if resolved.count(whole) > 1:
            raise UsageError(f"{path}: given twice")
    return [read(path, name) for path, name in zip(paths, _names(resolved), strict=True)]


def read(path: Path, name: str) -> Run:
    """The run in a folder. Raises UsageError when it is none, DataError when its files cannot be read."""
    for file in ("recipe.yaml", "environment.json"):
        if not (path / file).exists():
            raise UsageError(
                f"{path}: is not a run folder (no {file}): {folder_kinds.describe(path)}",
                hint="name the output folder of a training command",
            )
    if (path / "answers").is_dir() and not (path / "metrics.jsonl").exists():
        raise UsageError(
            f"{path}: is a run of prompt, which trains nothing, so it has no figures by step",
            hint=f"its scores are in {path / 'results.md'}",
        )
    recipe = kept_source(path).data
    return Run(
        name=clean(name),
        path=path,
        recipe=recipe,
        environment=_object(path / "environment.json"),
        figures=_declared(metrics_file.series(path), objective_of(recipe)),
        finished=run_state.has_ended(path),
        goal=run_state.goal(path),
        best=_best(path / "scores.json"),
        unigram_entropy=_entropy(recipe.get("store", recipe.get("tokens"))),
        **_baselines(path.parent / "scores.json"),
    )


def inside(path: Path) -> list[Path]:
    """The training runs of a folder: itself, or those in it, such as one a seed, a stage or a point of a grid."""
    if (path / "metrics.jsonl").exists():
        return [path]
    patterns = ("*/", "*/*/", "grid/*/*/")
    found = {file.parent for pattern in patterns for file in path.glob(f"{pattern}metrics.jsonl")}
    return sorted(run for run in found if not run_state.is_abandoned(run)) or [path]


def _best(scores: Path) -> int | None:
    """The step that fine-tuning has taken as the best."""
    step = _object(scores).get("step") if scores.exists() else None
    return step if isinstance(step, int) else None


def _baselines(scores: Path) -> dict[str, Any]:
    """What all seeds of fine-tuning have written beside their scores, once the first of them has ended."""
    found = _object(scores) if scores.exists() else {}
    if not isinstance(found.get("baseline"), dict):
        return {}
    return {
        "baselines": {
            name: value for name, value in found["baseline"].items() if isinstance(value, int | float)
        },
        "baseline_name": str(found.get("baseline_name", found.get("guess", ""))),
    }


def _declared(figures: dict[str, dict[int, float]], objective: str | None) -> dict[str, Series]:
    """The figures by the keys of the metric table."""
    found = {}
    for name, points in figures.items():
        series = Series(list(points), list(points.values()))
        front = HELD_OUT if name.startswith(HELD_OUT) else ""
        found[front + clean(describe(name.removeprefix(front), objective).key)] = series
    return found


def _object(path: Path) -> dict[str, Any]:
    return atomic_files.read_json(path, dict, REMEDY)


def _entropy(store: object) -> float | None:
    """What tokenize wrote into the store, in nats."""
    if not isinstance(store, str):  # several have no entropy in common
        return None
    path = Path(store) / "store.json"
    value = _object(path).get("unigram_entropy") if os.path.exists(path) else None  # whatever its name is
    return value if isinstance(value, float) else None


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart; that of a seed says of which run."""
    names = ["/".join(path.parts[-1 - path.name.startswith("seed-") :]) for path in paths]
    longest = max((len(path.parts) for path in paths), default=1)
    for length in range(2, longest + 1):
        names = [
            "/".join(path.parts[-length:]).replace("//", "/") if names.count(name) > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    return names
