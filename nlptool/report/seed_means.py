"""Runs that differ only in their seeds as one: means with 95 % intervals."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from nlptool.evaluation.metrics import confidence
from nlptool.formatting import counted


class Interval(NamedTuple):
    """A mean over seeds; the ends are those of its 95 % interval by Student's t."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """The 95 % interval of the mean of two values or more.

        With two seeds the interval is wide: 12.7 standard errors to each side.
        """
        half = confidence.quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
        middle = fmean(values)
        return cls(middle, middle - half, middle + half)


def merged(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One run for each name, in order. A run of a single seed is unchanged except for `seeds`, their number.

    Checkpoints are matched from the last one back, since a budget of time ends runs at different steps.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault(run["run"], []).append(run)
    return [_one(group) for group in groups.values()]


def caption(runs: Sequence[Mapping[str, Any]]) -> str:
    """Caption of a table of runs; empty if each has one seed."""
    most = max(run["seeds"] for run in runs)
    return f"means of {counted(most, 'seeds')} ± half the 95 % interval" if most > 1 else ""


def _one(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if len(group) == 1:
        return {**group[0], "seeds": 1}
    points = [_point(at) for at in zip(*(reversed(run["points"]) for run in group), strict=False)]
    found = {**group[0], "seeds": len(group), "points": points[::-1]}
    if all("suite" in run for run in group):
        found["suite"] = [_task(tasks) for tasks in zip(*(run["suite"] for run in group), strict=True)]
    return found


def _point(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of one checkpoint over seeds."""
    heldout = {
        key: Interval.of([point["heldout"][key] for point in points])
        for key in points[0]["heldout"]
        if all(key in point["heldout"] for point in points)
    }
    scores = {
        name: {
            **Interval.of([point["scores"][name]["value"] for point in points])._asdict(),
            "of": score["of"],
        }
        for name, score in points[0]["scores"].items()
        if all(name in point["scores"] for point in points)
    }
    means = {key: fmean(point[key] for point in points) for key in ("step", "tokens", "flops", "seconds")}
    return {
        **means,
        "heldout": {key: interval.value for key, interval in heldout.items()},
        "intervals": {key: (interval.low, interval.high) for key, interval in heldout.items()},
        "scores": scores,
    }


def _task(tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A task of the suite: the mean over models, with their deviation in place of that between fine-tuning seeds."""
    figures = {}
    for name, figure in tasks[0]["figures"].items():
        values = [task["figures"][name]["value"] for task in tasks]
        figures[name] = {**figure, "value": fmean(values), "std": stdev(values)}
    return {**tasks[0], "seeds": len(tasks), "figures": figures}
