"""An experiment's runs and results as tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from nlptool.commands.reproduce.experiment import Claim, Experiment, Measure, Plan
from nlptool.formatting import agreeing, counted, duration, significant
from nlptool.metric_table import Metric, describe
from nlptool.recipe import RecipeBlock

Rows = tuple[list[str], list[list[str]]]


def runs_table(plan: Plan) -> Rows:
    """All runs: command, arms, seeds, and length."""
    seeds: dict[tuple[str, ...], list[int]] = {}
    for one in plan.runs:
        arms = "all" if len(one.arms) == len(plan.experiment.arms) > 1 else ", ".join(one.arms)
        row = (one.step, arms, f"{one.command} {one.recipe}", length(one.loaded.recipe))
        seeds.setdefault(row, []).extend([] if one.seed is None else [one.seed])
    rows = [
        [step, arms, _range(found), command, amount] for (step, arms, command, amount), found in seeds.items()
    ]
    return ["step", "arms", "seeds", "command", "length"], rows


def _range(seeds: list[int]) -> str:
    """`0 to 4`: they begin at 0, without a gap."""
    return f"0 to {seeds[-1]}" if len(seeds) > 1 else "".join(map(str, seeds))


def length(recipe: RecipeBlock) -> str:
    """Length of a run, from its recipe; empty for one without training."""
    parts = []
    for name in ("train", "intermediate", "prediction"):
        train = getattr(recipe, name, None)
        for key in ("budget", "steps", "epochs"):
            amount = getattr(train, key, None)
            if amount is not None:
                number, _, noun = str(amount).partition(" ")
                parts.append(agreeing(number if noun else f"{amount:,}".removesuffix(".0"), noun or key))
                break
    return " + ".join(parts)


def metric_of(measure: Measure) -> Metric:
    """The declaration of a measure's figure; undeclared shares are shares."""
    base = measure.figure.rpartition("/")[2]
    found = describe(base)
    if found.kind == "other":
        return found._replace(unit="share")
    return found


def measures_table(experiment: Experiment, result: Mapping[str, Any]) -> Rows:
    """A row an arm, a column a measure: means with half of their 95 % intervals."""
    metrics = {name: metric_of(measure) for name, measure in experiment.measures.items()}
    columns = ["", *(_heading(name, metric) for name, metric in metrics.items())]
    rows = []
    for arm in experiment.arms:
        row = [arm]
        for name, metric in metrics.items():
            row.append(spread(metric, result["measures"][name][arm]))
        rows.append(row)
    return columns, rows


def claims_table(experiment: Experiment, result: Mapping[str, Any]) -> Rows:
    """A row a claim: the paper's figures, the differences found here, and the verdict."""
    rows = []
    for claim, found in zip(experiment.claims, result["claims"], strict=True):
        metric = metric_of(experiment.measures[claim.measure])
        here = "; ".join(difference(metric, one) for one in found["differences"])
        rows.append([claim.claim, paper(claim), here, found["verdict"]])
    return ["the paper's claim", "there", "here", "verdict"], rows


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a page beside its tables."""
    yield (
        f"{result['date']}, {result['machine']}; {duration(60 * result['minutes'])}, "
        f"{significant(result['flops'])} FLOPs of training; {counted(result['seeds'], 'seeds')}. Intervals are "
        "those of the mean over seeds, 95 %, by Student's t, and say nothing of other validation rows; "
        "differences are taken seed by seed."
    )
    if result["note"]:
        yield " ".join(result["note"].split())


def paper(claim: Claim) -> str:
    """`86.5 against 52.0 (accuracy, table 5)`."""
    if not claim.paper:
        return claim.paper_measure
    figures = " against ".join(f"{value:g}" for value in claim.paper[:2])
    figures += "".join(f", {value:g}" for value in claim.paper[2:])
    return f"{figures} ({claim.paper_measure})" if claim.paper_measure else figures


def difference(metric: Metric, one: Mapping[str, Any]) -> str:
    """`A against B: +1.2 (0.3 to 2.1)`, positive where the first is better."""
    shown = f"{one['first']} against {one['second']}: {_signed(metric, one['value'])}"
    if one["low"] is None:
        return shown
    return f"{shown} ({_signed(metric, one['low'])} to {_signed(metric, one['high'])})"


def spread(metric: Metric, one: Mapping[str, Any]) -> str:
    """A mean with half of its interval."""
    half = None if one["low"] is None else (one["high"] - one["low"]) / 2
    return metric.show(one["value"], half)


def _signed(metric: Metric, value: float) -> str:
    text = metric.number(value)
    if not any(digit in text for digit in "123456789"):
        return text.removeprefix("-")
    return text if text.startswith("-") else f"+{text}"


def _heading(name: str, metric: Metric) -> str:
    return name if metric.unit in ("share", "") else f"{name} ({metric.unit})"
