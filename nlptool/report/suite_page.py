"""The scores of a suite as one page: a chart for the first figure of each task and for the mean, and the table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nlptool.atomic_files import Shape, read_json
from nlptool.manifests import plain_names
from nlptool.metric_table import Metric, metric_title
from nlptool.report import suite_scores
from nlptool.report.curves import Axis, Chart, Curve
from nlptool.report.marks import Marks
from nlptool.report.runs import REMEDY
from nlptool.report.verdict import SUITE

FIGURE: Shape = {"value": float, "std": float, "baseline": float | None}
TASK: Shape = {
    "task": str,
    "splits": [str],
    "score": [str],
    "excluded": bool,
    "figures": {str: FIGURE},
    "baseline_name?": str,
}
FOUND: Shape = [{"model": str, "suite?": [TASK]}]
DEVIATION = "± standard deviation between seeds, or standard error"
AXIS = Axis("steps", "steps")  # which bars do not have

Scores = Mapping[str, Sequence[dict[str, Any]]]
"""What each model reached in each task, as evaluate.json has it."""


class SuiteChart(NamedTuple):
    """A bar for each model."""

    chart: Chart
    curves: list[Curve]
    marks: Marks


def is_suite(path: Path) -> bool:
    """Whether a folder is that of `evaluate --suite`."""
    return (path / "suite").is_dir() and (path / "evaluate.json").exists()


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The tasks that each model took. Raises DataError for a file that `evaluate` has not written."""
    found = read_json(path / "evaluate.json", list, REMEDY, FOUND)
    return {one["model"]: one.get("suite", []) for one in found}


def charts(scores: Scores) -> list[SuiteChart]:
    """The first figure of each task's score, beside its baseline; then the mean over the tasks."""
    tasks = list(dict.fromkeys(one["task"] for found in scores.values() for one in found if one["score"]))
    files = plain_names([*tasks, SUITE])
    shown = [_task(task, file, scores) for task, file in zip(tasks, files, strict=False)]
    if len(tasks) > 1:
        means = {model: suite_scores.mean(found) for model, found in scores.items() if found}
        bars = {model: (mean.value, mean.std) for model, mean in means.items() if mean is not None}
        shown.append(_chart(files[-1], SUITE, bars, scores, Marks()))
    return shown


def _task(task: str, file: str, scores: Scores) -> SuiteChart:
    taken = {
        model: next((one for one in found if one["task"] == task and one["score"]), None)
        for model, found in scores.items()
    }
    known = {model: one for model, one in taken.items() if one is not None}
    first = next(iter(known.values()))
    name = first["score"][0]
    bars = {
        model: (one["figures"][name]["value"], one["figures"][name]["std"]) for model, one in known.items()
    }
    marks = Marks(level=first["figures"][name]["baseline"], name=first.get("baseline_name", ""))
    return _chart(file, f"{task}: {metric_title(name)}", bars, scores, marks)


def _chart(
    file: str, title: str, bars: Mapping[str, tuple[float, float]], scores: Scores, marks: Marks
) -> SuiteChart:
    metric = Metric(file, title, "share", "higher", "score")
    numbers = {model: number for number, model in enumerate(scores)}
    curves = [
        Curve(
            numbers[model],
            True,
            np.zeros(1),
            np.array([value]),
            None,
            (np.array([value - std]), np.array([value + std])),
        )
        for model, (value, std) in bars.items()
    ]
    return SuiteChart(Chart(file, metric, None, file, band=DEVIATION), curves, marks)
