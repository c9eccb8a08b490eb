"""Marks of a chart: where the next stage of training begins, and the level of a baseline."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from nlptool.metric_table import HELD_OUT
from nlptool.report.curves import Axis, Chart, positions
from nlptool.report.runs import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LANGUAGE_MODELS = ("mlm", "generator_mlm", "clm")
"""Losses in nats a token, comparable with the unigram entropy."""
INK = "#8c959f"
LOW = 0.1  # share of a chart's height: a baseline near the axis has its name above it


class Marks(NamedTuple):
    """Marks drawn behind the lines."""

    stages: tuple[float, ...] = ()
    """Where another stage begins, on the chart's axis."""
    level: float | None = None
    """A figure's baseline."""
    name: str = ""
    """What that is called."""


def of(chart: Chart, runs: Sequence[Run], axis: Axis) -> Marks:
    """The marks of a chart, if they are the same for all of its runs."""
    shown = [run for run in runs if {chart.training, chart.heldout} & set(run.figures)]
    stages = {tuple(float(x) for x in positions(run, axis, run.stages)) for run in shown}
    common = stages.pop() if len(stages) == 1 else ()
    level, name = _baseline(chart, shown)
    return Marks(common, level, name)


def _baseline(chart: Chart, runs: Sequence[Run]) -> tuple[float | None, str]:
    key = chart.metric.key
    if key in LANGUAGE_MODELS:
        levels, name = {run.unigram_entropy for run in runs}, "unigram entropy"
    elif key.endswith("_accuracy"):
        teacher, majority = f"teacher_{key}", f"{key.removesuffix('_accuracy')}_majority"
        has_teacher = any(HELD_OUT + teacher in run.figures for run in runs)
        levels = {run.last(HELD_OUT + (teacher if has_teacher else majority)) for run in runs}
        name = "teacher" if has_teacher else "majority"
    else:
        levels, name = {run.baselines.get(key) for run in runs}, next((run.baseline_name for run in runs), "")
    return (levels.pop(), name) if len(levels) == 1 else (None, "")


def draw_across(plot: "Axes", marks: Marks) -> None:
    """Draw the baseline into a bar chart with fixed limits."""
    left, right = plot.get_xlim()
    if marks.level is not None and left < marks.level < right:
        plot.axvline(marks.level, color=INK, lw=0.8, ls=(0, (5, 2)), zorder=3)
        _label(plot, marks.name, (marks.level, 1), (0, 2), ("data", "axes fraction"), ("center", "bottom"))


def draw(plot: "Axes", marks: Marks, factor: float) -> None:
    """Draw the marks into a plot with fixed limits. factor: of the axis. A mark outside of the limits is omitted."""
    left, right = plot.get_xlim()
    for number, stage in enumerate(marks.stages, start=2):
        if left < stage / factor < right:
            plot.axvline(stage / factor, color=INK, lw=0.8, ls=(0, (2, 2)), zorder=1)
            _label(
                plot,
                f"stage {number}",
                (stage / factor, 1),
                (0, 2),
                ("data", "axes fraction"),
                ("center", "bottom"),
            )
    bottom, top = plot.get_ylim()
    if marks.level is not None and bottom < marks.level < top:
        plot.axhline(marks.level, color=INK, lw=0.8, ls=(0, (5, 2)), zorder=1)
        low = marks.level - bottom < LOW * (top - bottom)
        beside, va = ((-2, 2), "bottom") if low else ((-2, -2), "top")
        _label(plot, marks.name, (1, marks.level), beside, ("axes fraction", "data"), ("right", va))


def _label(
    plot: "Axes",
    text: str,
    at: tuple[float, float],
    beside: tuple[float, float],
    of: tuple[str, str],
    aligned: tuple[str, str],
) -> None:
    """Write a text some points beside a place. of: what the coordinates of the place are of."""
    ha, va = aligned
    plot.annotate(
        text, at, beside, xycoords=of, textcoords="offset points", color=INK, fontsize=7.5, ha=ha, va=va
    )
