"""Reads run folders for reports: recipe, figures by step, environment.

A run in progress, stopped, resumed or without figures is a run like any other.
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
    """One figure by step."""

    steps: list[int]
    values: list[float]


@dataclass(frozen=True)
class Run:
    """A run folder's content."""

    name: str
    path: Path
    recipe: dict[str, Any]
    """With every default, as plain values."""
    environment: dict[str, Any]
    figures: dict[str, Series]
    """By their keys in the metric table; held-out ones are heldout/KEY."""
    finished: bool
    """Whether it has ended, and final/ is its result."""
    goal: Goal | None
    """Its goal; None if it was not recorded."""
    best: int | None
    """The step of the checkpoint taken as the result, if it is not the last one."""
    unigram_entropy: float | None
    """Unigram entropy of the training tokens, if the store is still at the recipe's path."""
    baselines: Mapping[str, float] = field(default_factory=dict)
    """Baselines of fine-tuning's scores, by figure."""
    baseline_name: str = ""
    """Name of the baselines: majority, chance, mean."""

    def last(self, figure: str) -> float | None:
        """The newest value of a figure, if it has any."""
        series = self.figures.get(figure)
        return series.values[-1] if series else None

    def ended(self, figure: str) -> float | None:
        """The value of a figure for the result: that of the best step, if it was taken."""
        series = self.figures.get(figure)
        if series is None or self.best not in series.steps:
            return self.last(figure)
        return series.values[series.steps.index(self.best)]

    @property
    def step(self) -> int:
        """The newest step with a figure; 0 if there is none."""
        return max((series.steps[-1] for series in self.figures.values()), default=0)

    @property
    def steps(self) -> int | None:
        """The total number of steps; None with a budget of time, or if it is not recorded."""
        steps: int | None = self.recipe.get("train", {}).get("steps")
        return steps if self.goal is None else self.goal.steps

    @property
    def stages(self) -> list[int]:
        """The last step of each stage but the last, if known."""
        if self.goal is not None:
            return list(self.goal.stages[1:])
        shares = [stage["share"] for stage in self.recipe.get("train", {}).get("stages", ())]
        return [round(share * (self.steps or 0)) for share in accumulate(shares[:-1])]


def read_all(paths: Sequence[Path]) -> list[Run]:
    """The runs in these folders, with distinct names: the folder's, or as much of its path as necessary.

    A folder with several runs, such as one for each seed, gives all of them. Raises UsageError for a folder that is
    no run or given twice, DataError for unreadable files.
    """
    paths = [run for path in paths for run in inside(path)]
    resolved = [path.resolve() for path in paths]
    for path, whole in zip(paths, resolved, strict=True):
        if resolved.count(whole) > 1:
            raise UsageError(f"{path}: given twice")
    return [read(path, name) for path, name in zip(paths, _names(resolved), strict=True)]


def read(path: Path, name: str) -> Run:
    """The run in a folder. Raises UsageError for another folder, DataError for unreadable files."""
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
    """The training runs of a folder: itself, or those in it, such as one for each seed, stage or grid point."""
    if (path / "metrics.jsonl").exists():
        return [path]
    patterns = ("*/", "*/*/", "grid/*/*/")
    found = {file.parent for pattern in patterns for file in path.glob(f"{pattern}metrics.jsonl")}
    return sorted(run for run in found if not run_state.is_abandoned(run)) or [path]


def _best(scores: Path) -> int | None:
    """The step that fine-tuning selected as the best."""
    step = _object(scores).get("step") if scores.exists() else None
    return step if isinstance(step, int) else None


def _baselines(scores: Path) -> dict[str, Any]:
    """The baselines recorded with fine-tuning's scores, once the first seed has ended."""
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
    """The store's unigram entropy in nats."""
    if not isinstance(store, str):  # several stores have no common entropy
        return None
    path = Path(store) / "store.json"
    value = _object(path).get("unigram_entropy") if os.path.exists(path) else None  # whatever its name is
    return value if isinstance(value, float) else None


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest suffixes of the paths that distinguish them; a seed's includes its run."""
    names = ["/".join(path.parts[-1 - path.name.startswith("seed-") :]) for path in paths]
    longest = max((len(path.parts) for path in paths), default=1)
    for length in range(2, longest + 1):
        names = [
            "/".join(path.parts[-length:]).replace("//", "/") if names.count(name) > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    return names
