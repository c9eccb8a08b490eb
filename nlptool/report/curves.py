"""From runs to what is drawn: which charts there are, and the curves of one chart against one axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.report.runs import HELD_OUT, Run, Series

Floats = NDArray[np.float64]

COSTS = ("tokens", "seconds", "parameters", "flops")  # what a step cost, not what came of it
COURSE = {"lr": "learning rate", "grad_norm": "gradient norm", "tokens_per_second": "tokens per second"}
EXACT = ("lr",)  # no noise to smooth
SMOOTH_FROM = 20  # points; fewer are shown as they are
SPAN, BEGIN = 0.02, 0.1  # time constant of the mean: a share of the run; at most a share of the steps so far
EMA = (
    f"exponential moving average, time constant {SPAN:.0%} of the run, at first {BEGIN:.0%} of the steps so far, "
    "begun anew with each stage"
)


class Axis(NamedTuple):
    """What figures are drawn against."""

    name: str
    unit: str


AXES = (Axis("steps", "steps"), Axis("tokens", "tokens"), Axis("flops", "FLOP"), Axis("time", "s"))


@dataclass(frozen=True)
class Chart:
    """One figure, of all runs."""

    name: str
    """As a file is called after it."""
    title: str
    share: bool
    """A number from 0 to 1, shown in percent."""
    training: str | None
    """The figure of the training batches, if there is one."""
    heldout: str | None
    main: bool
    """A result; not how the run went about it."""
    from_zero: bool = True
    """Whether the axis of a share begins at 0."""


@dataclass(frozen=True)
class Curve:
    """One run's line in a chart."""

    run: int
    """Its number among the runs."""
    heldout: bool
    x: Floats
    y: Floats
    smooth: Floats | None
    """The moving average of y, where y is noisy."""
    band: tuple[Floats, Floats] | None = None
    """Low and high ends of an interval around y, where one is known."""


def charts(runs: Sequence[Run]) -> list[Chart]:
    """All charts: each loss with what belongs to it, then other results, then the course of the runs."""
    names = list(dict.fromkeys(name for run in runs for name in run.figures if name not in COSTS))
    heldout = [name.removeprefix(HELD_OUT) for name in names if name.startswith(HELD_OUT)]
    losses = [name for name in names if not name.startswith(HELD_OUT) and name not in COURSE]
    rest = sorted(
        (name for name in heldout if name not in losses),
        key=lambda name: [not name.startswith(f"{loss}_") for loss in losses],
    )
    found = [
        Chart(_file(n), f"{n} loss (nats)", False, n, HELD_OUT + n if n in heldout else None, True)
        for n in losses
    ]
    for n in rest:
        share = n.endswith("_accuracy")
        found.append(Chart(_file(n), n.replace("_", " ") + share * " (%)", share, None, HELD_OUT + n, True))
    return found + [Chart(n, title, False, n, None, False) for n, title in COURSE.items() if n in names]


def _file(figure: str) -> str:
    """A figure's name as part of a file's: that of a second validation split has its name in front."""
    return figure.replace("/", "-")


def axes(runs: Sequence[Run]) -> list[Axis]:
    """The axes that some run has figures for."""
    return [axis for axis in AXES if any(len(positions(run, axis, [run.step])) for run in runs if run.step)]


def curves(chart: Chart, runs: Sequence[Run], axis: Axis) -> list[Curve]:
    """The chart's lines, run by run; a run that lacks the figure or the axis has none."""
    found = []
    for number, run in enumerate(runs):
        for figure, heldout in ((chart.training, False), (chart.heldout, True)):
            series = run.figures.get(figure) if figure else None
            x = positions(run, axis, series.steps) if series else np.empty(0)
            if series is None or not len(x):
                continue
            smoothed = None if heldout or figure in EXACT else ema(series, run.stages)
            found.append(Curve(number, heldout, x, np.array(series.values, float), smoothed))
    return found


def positions(run: Run, axis: Axis, steps: Sequence[int]) -> Floats:
    """Where steps lie on an axis; empty when the run does not tell.

    Tokens, FLOPs and seconds are known at some steps, and in proportion between them.
    """
    at = np.array(steps, float)
    if axis.name == "steps":
        return at
    known = run.figures.get("seconds" if axis.name == "time" else axis.name)
    if known is None:
        return np.empty(0)
    x: Floats = np.interp(at, [0, *known.steps], [0.0, *known.values])
    return x


def ema(series: Series, stages: Sequence[int] = ()) -> Floats | None:
    """The moving average of EMA, each value weighted by the steps since the one before; None for few points.

    stages: the steps after which another length or batch begins, where a loss may jump.
    """
    if len(series.steps) < SMOOTH_FROM:
        return None
    steps, values = np.array(series.steps, float), np.array(series.values, float)
    constant = np.minimum(SPAN * steps[-1], BEGIN * steps)
    keep = np.exp(-np.diff(steps, prepend=0.0) / np.maximum(constant, 1e-9))
    for first in np.searchsorted(steps, stages, side="right"):
        keep[first : first + 1] = 0.0
    result = np.empty_like(values)
    mean = values[0]
    for index, (value, kept) in enumerate(zip(values, keep, strict=True)):
        mean = kept * mean + (1 - kept) * value
        result[index] = mean
    return result
