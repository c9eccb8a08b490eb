"""Verdicts on a paper's claims: means, intervals over seeds, conclusions."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any, NamedTuple

from nlptool.commands.reproduce.experiment import Claim, Experiment
from nlptool.formatting import finite
from nlptool.report.seed_means import Interval

HOLDS, FAILS, OPEN = "holds", "does not hold", "not decided"
Values = Mapping[str, Mapping[str, Sequence[float]]]
"""By measure and arm: a value for each seed."""


class Difference(NamedTuple):
    """The difference of two neighbours, signed so that positive is better; over the same seeds."""

    first: str
    second: str
    value: float
    low: float | None
    high: float | None


def arms(experiment: Experiment, values: Values) -> dict[str, dict[str, Any]]:
    """Means, intervals and single values, by measure and arm."""
    return {
        measure: {
            arm: {**_interval(values[measure][arm]), "values": list(values[measure][arm])}
            for arm in experiment.arms
        }
        for measure in experiment.measures
    }


def claims(experiment: Experiment, values: Values) -> list[dict[str, Any]]:
    """Each claim with its differences and its verdict."""
    found = []
    for claim in experiment.claims:
        differences = list(_differences(claim, values[claim.measure], experiment))
        found.append(
            {
                **claim.model_dump(mode="json"),
                "differences": [one._asdict() for one in differences],
                "verdict": verdict(differences, claim.within),
            }
        )
    return found


def verdict(differences: Sequence[Difference], within: float | None) -> str:
    """`holds` where all intervals lie on the claim's side, `does not hold` where one lies beyond it."""
    sides = [_side(one, within) for one in differences]
    if FAILS in sides:
        return FAILS
    return HOLDS if all(side == HOLDS for side in sides) else OPEN


def _side(one: Difference, within: float | None) -> str:
    if one.low is None or one.high is None:
        return OPEN
    if within is None:
        return HOLDS if one.low > 0 else FAILS if one.high < 0 else OPEN
    if -within <= one.low and one.high <= within:
        return HOLDS
    return FAILS if one.low > within or one.high < -within else OPEN


def _differences(
    claim: Claim, values: Mapping[str, Sequence[float]], experiment: Experiment
) -> Iterator[Difference]:
    sign = experiment.measures[claim.measure].sign
    for first, second in pairwise(claim.order):
        a, b = (values[arm] if isinstance(arm, str) else [arm] * experiment.seeds for arm in (first, second))
        ends = _interval([sign * (x - y) for x, y in zip(a, b, strict=True)])
        yield Difference(str(first), str(second), ends["value"], ends["low"], ends["high"])


def _interval(values: Sequence[float]) -> dict[str, Any]:
    """The mean with its 95 % interval; None for a single value."""
    if len(values) == 1:
        return {"value": fmean(values), "low": None, "high": None}
    return {name: finite(end) for name, end in Interval.of(values)._asdict().items()}
