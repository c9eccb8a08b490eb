"""The charts of runs, and their curves against an axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.formatting import percent
from nlptool.manifests import plain_names
from nlptool.metric_table import HELD_OUT, Kind, Metric, describe
from nlptool.report.runs import Run, Series

Floats = NDArray[np.float64]

SHOWN: tuple[Kind, ...] = ("loss", "score", "baseline", "diagnostic", "other", "course")  # in this order
LONGEST = 80  # characters of a file name
EXACT = ("lr",)  # no noise to smooth
SMOOTH_FROM = 20  # points; with fewer, no average is drawn
SPAN, BEGIN = (
    0.02,
    0.1,
)  # time constant of the average: a share of the run; at most a share of the steps so far
EMA = (
    f"exponential moving average, time constant {percent(SPAN, 0)} of the run, at first {percent(BEGIN, 0)} of the "
    "steps so far, restarted with each stage"
)


class Axis(NamedTuple):
    """The x axis of figures."""

    name: str
    unit: str


AXES = (Axis("steps", "steps"), Axis("tokens", "tokens"), Axis("flops", "FLOP"), Axis("time", "s"))


@dataclass(frozen=True)
class Chart:
    """One figure of all runs."""

    name: str
    """Name of its file."""
    metric: Metric
    training: str | None
    """The figure of the training batches, if there is one."""
    heldout: str | None
    from_zero: bool = True
    """Whether the axis of a share begins at 0."""
    band: str = ""
    """Meaning of its curves' bands, if any: `95 % intervals`."""
    points: str = "checkpoints"
    """Meaning of its points, if there are bands."""

    @property
    def share(self) -> bool:
        """A number from 0 to 1, shown in per cent."""
        return self.metric.unit == "share"

    @property
    def main(self) -> bool:
        """A result, rather than the course of training."""
        return self.metric.kind != "course"

    @property
    def compared(self) -> bool:
        """Compared between runs, against every axis; other figures explain."""
        return self.metric.kind not in ("course", "baseline", "diagnostic")


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
    """Low and high ends of an interval around y, if it is known."""


def views(chart: Chart, axes: Sequence[Axis]) -> list[tuple[Axis, bool]]:
    """The axes of a chart, and whether they are logarithmic; a chart that explains has the first one, linear."""
    if not chart.compared:
        return [(axis, False) for axis in axes[:1]]
    return [(axis, log) for axis in axes for log in (False, True)]


def charts(runs: Sequence[Run]) -> list[Chart]:
    """All charts by kind: losses, other results, course of training."""
    names = dict.fromkeys(name for run in runs for name in run.figures)
    metrics = [describe(key) for key in dict.fromkeys(name.removeprefix(HELD_OUT) for name in names)]
    if len(runs) == 1:  # the chart of the accuracy shows it as a line
        metrics = [metric for metric in metrics if not metric.key.endswith("_majority")]
    shown = sorted((m for m in metrics if m.kind in SHOWN), key=lambda metric: SHOWN.index(metric.kind))
    files = plain_names(metric.key[:LONGEST] for metric in shown)
    return [
        Chart(
            file,
            metric,
            metric.key if metric.key in names else None,
            HELD_OUT + metric.key if HELD_OUT + metric.key in names else None,
        )
        for file, metric in zip(files, shown, strict=True)
    ]


def axes(runs: Sequence[Run]) -> list[Axis]:
    """The axes for which some run has figures."""
    return [axis for axis in AXES if any(len(positions(run, axis, [run.step])) for run in runs if run.step)]


def curves(chart: Chart, runs: Sequence[Run], axis: Axis) -> list[Curve]:
    """The chart's curves by run; a run without the figure or the axis has none."""
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
    """Positions of steps on an axis; empty when they are not recorded.

    Tokens, FLOPs and seconds are known at some steps, and interpolated between them.
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
    """The exponential moving average, each value weighted by its steps; None for few points.

    stages: the last steps before another length or batch size, where a loss may jump.
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
