"""Which run is best, and how certainly: the best run against the second, for each figure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nlptool.evaluation.metrics import confidence
from nlptool.metric_table import describe
from nlptool.report import suite_scores

SUITE = "mean of the suite"


class Standing(NamedTuple):
    """The figure of a run, and its 95 % interval if known."""

    run: str
    value: float
    low: float | None
    high: float | None


def verdicts(runs: Sequence[Mapping[str, Any]], differing: Sequence[str] = ()) -> list[str]:
    """A line for each figure that two or more runs share: scores with the interval of the difference, then losses.

    differing: the keys that change the held-out loss itself, if the runs differ in them.
    """
    if len(runs) < 2:
        return []
    lasts = {run["run"]: run["points"][-1] for run in runs}
    lines = []
    for name in dict.fromkeys(name for last in lasts.values() for name in last["scores"]):
        lines += _scores(
            name,
            [_standing(run, last["scores"][name]) for run, last in lasts.items() if name in last["scores"]],
        )
    if len({tuple(sorted(task["task"] for task in run.get("suite", []))) for run in runs}) == 1:
        lines += _scores(SUITE, [standing for run in runs if (standing := _taken(run)) is not None])
    losses = dict.fromkeys(name for last in lasts.values() for name in last["heldout"])
    ranked = []
    for key in (name for name in losses if describe(name).kind == "loss"):
        ranked += _losses(
            key, [_loss(run, last, key) for run, last in lasts.items() if key in last["heldout"]]
        )
    if ranked and differing:
        ranked.append(
            f"these losses are of other rows or masks, since the runs differ in {', '.join(differing)}: they do not "
            "rank the models; --minimal-pairs or --suite does"
        )
    lines += ranked
    return lines or [
        "no verdict: the runs share no metric; --minimal-pairs or --suite evaluates all of them alike"
    ]


def _scores(name: str, standings: Sequence[Standing]) -> list[str]:
    """The best run against the second, for shares."""
    if len(standings) < 2:
        return []
    best, second = sorted(standings, key=lambda standing: -standing.value)[:2]
    lead = f"{name}: {best.run} {100 * best.value:.1f} %, {second.run} {100 * second.value:.1f} %"
    ends = difference(best, second)
    if ends is None:
        return [f"{lead}; one seed each, so how sure that is is not known"]
    gap, low, high = (100 * share for share in (best.value - second.value, *ends))
    sure = f"{best.run} is ahead" if low > 0 else "no difference beyond chance"
    return [f"{lead}; difference {gap:.1f} points (95 % interval {low:.1f} to {high:.1f}): {sure}"]


def difference(one: Standing, other: Standing) -> tuple[float, float] | None:
    """The 95 % interval of `one` less `other`, from those of each (Newcombe 1998, method 10).

    The runs are assumed to be independent; since they answer the same questions, the true interval is narrower.
    """
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    gap = one.value - other.value
    return (
        gap - math.hypot(one.value - one.low, other.high - other.value),
        gap + math.hypot(one.high - one.value, other.value - other.low),
    )


def _losses(key: str, standings: Sequence[Standing]) -> list[str]:
    """The two lowest held-out losses, with an interval if there are several seeds."""
    if len(standings) < 2:
        return []
    metric = describe(key)
    best, second = sorted(standings, key=lambda standing: standing.value)[:2]
    lead = (
        f"held-out {metric.title}: {best.run} {metric.show(best.value)}, {second.run} {metric.show(second.value)} "
        f"{metric.unit}; difference {metric.show(second.value - best.value)}"
    )
    ends = difference(second, best)
    if ends is None:
        return [f"{lead}, one run each, so how sure that is is not known"]
    sure = f"{best.run} is ahead" if ends[0] > 0 else "no difference beyond chance"
    return [f"{lead} (95 % interval {metric.show(ends[0])} to {metric.show(ends[1])}): {sure}"]


def _loss(run: str, last: Mapping[str, Any], key: str) -> Standing:
    return Standing(run, last["heldout"][key], *last.get("intervals", {}).get(key, (None, None)))


def _standing(run: str, score: Mapping[str, float]) -> Standing:
    return Standing(run, score["value"], score["low"], score["high"])


def _taken(run: Mapping[str, Any]) -> Standing | None:
    """The mean of a run's suite; with an interval if each task has several seeds, or a standard error."""
    found = run.get("suite", [])
    mean = suite_scores.mean(found)
    if mean is None:
        return None
    seeds = [task.get("seeds") for task in found]
    if 1 in seeds:
        return Standing(run["run"], mean.value, None, None)
    error = suite_scores.mean([_standard_error(task) for task in found])
    assert error is not None  # as mean is not
    fewest = min((number for number in seeds if number is not None), default=None)
    half = confidence.quantile(None if fewest is None else fewest - 1) * error.std
    return Standing(run["run"], mean.value, mean.value - half, mean.value + half)


def _standard_error(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task with standard errors of the mean, from deviations between seeds; prompted tasks have them already."""
    root = math.sqrt(task.get("seeds") or 1)
    figures = {name: {**one, "std": one["std"] / root} for name, one in task["figures"].items()}
    return {**task, "figures": figures}
