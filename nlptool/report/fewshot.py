"""Few-shot charts: scores of prompted tasks against the number of examples and the size of the model.

They correspond to figures 1.2 and 1.3 of Brown et al. 2020, with 95 % intervals.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nlptool.atomic_files import Shape, read_json
from nlptool.errors import UsageError
from nlptool.formatting import counted
from nlptool.manifests import plain_names
from nlptool.metric_table import PROMPTED, Metric, describe
from nlptool.report.curves import Axis, Chart, Curve
from nlptool.report.marks import Marks
from nlptool.report.runs import REMEDY

SHOTS, SIZE = Axis("shots", "shots"), Axis("parameters", "parameters")
NORMAL = 1.96  # standard errors on each side of a 95 % interval
BASELINES = ("chance", "majority")
METRICS: dict[str, Shape] = {
    "questions": int,
    "scores": {str: {"value": float | None, "error": float | None}},
    "baselines": {str: float | None},
}
RECORD: Shape = METRICS | {
    "model": str,
    "task": str,
    "num_fewshot": int,
    "parameters": int,
    "parts?": {str: METRICS},
}

Record = Mapping[str, Any]
"""The metrics of one model on one task with one number of examples, from results.json."""


class FewshotChart(NamedTuple):
    """The main metric of one task."""

    chart: Chart
    records: Sequence[Record]
    marks: Marks

    def curves(self, axis: Axis) -> tuple[list[Curve], list[str]]:
        """The curves against an axis, and their names: one for each model, or for each number of examples."""
        by, at = ("model", "num_fewshot") if axis == SHOTS else ("num_fewshot", "parameters")
        found: dict[Any, list[Record]] = {}
        for record in self.records:
            found.setdefault(record[by], []).append(record)
        names = [str(key) if axis == SHOTS else counted(key, "shots") for key in found]
        rows = [sorted(records, key=lambda record: record[at]) for records in found.values()]
        return [self._curve(number, records, at) for number, records in enumerate(rows)], names

    def _curve(self, number: int, records: Sequence[Record], at: str) -> Curve:
        scores = [record["scores"][self.chart.metric.key] for record in records]
        x = np.array([record[at] for record in records], float)
        y = np.array([score["value"] for score in scores])
        errors = [score["error"] for score in scores]
        if None in errors:
            return Curve(number, True, x, y, None)
        half = NORMAL * np.array(errors, float)
        return Curve(number, True, x, y, None, (y - half, y + half))


def is_prompted(path: Path) -> bool:
    """Whether a folder is a prompt run."""
    return (path / "answers").is_dir() and not (path / "metrics.jsonl").exists()


def read(paths: Sequence[Path]) -> list[Record]:
    """The records of several prompt runs; models of equal names are distinguished by their folders.

    Raises UsageError for another folder, or one without results.
    """
    found: list[tuple[Path, Record]] = []
    for path in paths:
        if not is_prompted(path):
            raise UsageError(
                f"{path}: no run of prompt, as others of these are",
                hint="report them apart: their figures have different axes",
            )
        file = path / "results.json"
        if not file.exists():
            raise UsageError(f"{path}: has no results yet", hint="carry it to its end with --resume auto")
        records = read_json(file, list, REMEDY, [RECORD])
        found += [(path, record) for record in records]
    places: dict[tuple[Any, ...], set[Path]] = {}
    for path, record in found:
        places.setdefault((record["model"], record["task"], record["num_fewshot"]), set()).add(path)
    several = any(len(folders) > 1 for folders in places.values())
    return [
        {**record, "model": f"{path.name}: {record['model']}"} if several else record
        for path, record in found
    ]


def charts(records: Sequence[Record]) -> list[FewshotChart]:
    """A chart of each task's main metric, if some model has a value."""
    tasks = list(dict.fromkeys(record["task"] for record in records))
    found = []
    for task, file in zip(tasks, plain_names(tasks), strict=True):
        rows = [record for record in records if record["task"] == task and record["scores"]]
        main = next(iter(rows[0]["scores"]), None) if rows else None
        rows = [r for r in rows if r["scores"].get(main, {}).get("value") is not None]
        if main is None or not rows:
            continue
        shown = describe(main, PROMPTED)
        metric = Metric(main, f"{task}: {shown.title}", shown.unit, shown.direction, "score")
        chart = Chart(
            file, metric, None, main, from_zero=False, band="95 % intervals", points="all questions"
        )
        found.append(FewshotChart(chart, rows, _level(rows)))
    return found


def axes(shown: Sequence[FewshotChart]) -> list[Axis]:
    """The axes along which something varies: examples, unless all have the same number; sizes, with several models."""
    kept = []
    for axis, key in ((SHOTS, "num_fewshot"), (SIZE, "parameters")):
        if any(len({record[key] for record in one.records}) > 1 for one in shown):
            kept.append(axis)
    return kept or [SHOTS]


def _level(records: Sequence[Record]) -> Marks:
    """The baseline without a model, if it is the same for all numbers of examples."""
    for name in BASELINES:
        levels = {record["baselines"].get(name) for record in records}
        if len(levels) == 1 and (level := levels.pop()) is not None:
            return Marks(level=level, name=name)
    return Marks()
