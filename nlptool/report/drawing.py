"""Charts by matplotlib, with labels at the ends of lines, in colours that colour-blind readers can distinguish."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import blended_transform_factory

from nlptool.report import marks
from nlptool.report.curves import Axis, Chart, Curve, Floats
from nlptool.report.fonts import SIZE, fonts_for, short, width, without_remarks
from nlptool.report.marks import Marks
from nlptool.report.scales import apart, decade, log_steps, number, scale
from nlptool.terminal import clean

INK, MUTED, GRID = "#1f2328", "#656d76", "#e4e7ea"
# Okabe & Ito 2008, without the yellow, which is not visible in print.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5c6470")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)))  # line styles for the second and third use of a colour
WIDTH, HEIGHT = 5.4, 3.1  # inches: on a page of two columns, letters have nearly the size of the text
BAR = 0.34  # inches from one bar to the next: the height of a bar chart depends on their number
LEFT, TOP, BOTTOM = 0.55, 0.62, 0.5
UNIT = 0.22  # inches from below to the top of the x axis's name
WIDEST = 1.8  # inches for a label at the right
LINE, DPI = 11.5, 200  # points from one label to the next; dots per inch of a PNG
SHADE = 0.12  # opacity of a band; several may overlap
FALL = 0.02  # share of a run, its beginning
WIDER = 2.0  # a chart's range may grow by this factor to show a baseline


@dataclass(frozen=True)
class Style:
    """The style of all charts of a report."""

    names: Sequence[str]
    """Names of the runs, in their order; long names are shortened in the middle."""
    fonts: Sequence[str]
    """Font families, each for letters that the ones before it lack."""
    missing: str = ""
    """Letters of names and titles that no installed font has."""

    @classmethod
    def of(cls, names: Sequence[str], titles: Sequence[str] = ()) -> "Style":
        """The style for runs of these names, with charts of these titles."""
        fonts, missing = fonts_for([*names, *titles])
        look = cls(names, fonts, missing)
        with styled(look):
            figure = Figure(figsize=(WIDTH, HEIGHT))
            FigureCanvasAgg(figure)
            return cls([short(figure, name, WIDEST) for name in names], fonts, missing)

    @property
    def remark(self) -> str:
        """A note on letters missing in the charts; empty if none is."""
        if not self.missing:
            return ""
        remedy = "Nanum or Noto Sans CJK would have them"
        return f"no font here has {self.missing}; the pictures lack these letters ({remedy})"


def colour(run: int) -> str:
    """The colour of a run, the same in every chart."""
    return PALETTE[run % len(PALETTE)]


def draw(
    chart: Chart,
    curves: Sequence[Curve],
    axis: Axis,
    look: Style,
    *,
    log: bool = False,
    over: Figure | None = None,
    marked: Marks = Marks(),  # noqa: B008  (never changed)
) -> Figure:
    """One chart against one axis; bars where every run has a single point, which no line shows.

    over: a finished chart of the same style, whose frame and ticks are reused, which saves a third of the time.
    """
    bars = all(len(curve.x) == 1 for curve in curves)  # no curves are no lines, either
    with styled(look):
        figure = (None if over is None or bars else _wiped(over)) or _blank()
        (plot,) = figure.axes
        if not curves:
            plot.set_axis_off()
            _title(figure, chart)
            figure.text(0.5, 0.5, f"no run that has this recorded its {axis.name}", color=MUTED, ha="center")
            return figure
        if bars:
            _bars(figure, plot, chart, curves, look)
            marks.draw_across(plot, marked)
            return figure
        factor, unit = scale(axis, curves)
        bands = sum(curve.band is not None for curve in curves)
        for curve in curves:
            _line(plot, curve, factor, log=log, shade=SHADE / max(1.0, bands / 2))
        _frame(plot, chart, curves, axis, factor, log=log, level=marked.level)
        marks.draw(plot, marked, factor)
        plot.set_xlabel(unit + (", logarithmic" if log else ""), color=MUTED)
        labels = _labels(chart, curves, look)
        figure.set_figheight(max(HEIGHT, TOP + BOTTOM + LINE / 72 * (len(labels) + 1)))
        _lay(plot, LEFT, width(figure, [text for *_, text in labels]) + 0.22)
        _title(figure, chart)
        _legend(figure, chart, curves)
        _place(figure, plot, labels)
    return figure


def _blank() -> Figure:
    """An empty figure with one plot."""
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
    FigureCanvasAgg(figure)
    plot = figure.add_axes((0, 0, 1, 1))
    # With a fixed place, the axis's name needs no search for free space.
    middle = blended_transform_factory(plot.transAxes, figure.dpi_scale_trans)
    plot.xaxis.set_label_coords(0.5, UNIT, transform=middle)
    plot.yaxis.set_label_coords(0, 0.5)
    return figure


def _wiped(figure: Figure) -> Figure | None:
    """The figure without its content; None if it has bars or no axis, which need another frame."""
    (plot,) = figure.axes
    if plot.patches or not plot.axison:
        return None
    for artist in (*plot.lines, *plot.collections, *plot.texts, *figure.artists, *figure.texts):
        artist.remove()
    plot.set_xscale("linear")
    return figure


def _lay(plot: Axes, left: float, right: float) -> None:
    """Place the plot in its figure, with these margins in inches."""
    height = _high(plot.get_figure())
    plot.set_position(
        (left / WIDTH, BOTTOM / height, (WIDTH - left - right) / WIDTH, (height - TOP - BOTTOM) / height)
    )


def _high(figure: Any) -> float:
    """Height of the figure in inches."""
    return float(figure.get_figheight())


def svg(figure: Figure, look: Style, *, letters: bool) -> str:
    """The figure as SVG. letters: keep text, in the reader's font; else draw it as paths."""
    with (
        styled(look),
        matplotlib.rc_context({"svg.fonttype": "none" if letters else "path", "svg.hashsalt": "0"}),
    ):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    return clean(buffer.getvalue())  # XML allows no control characters, which a name may contain


def png(figure: Figure, look: Style) -> bytes:
    """The figure as PNG on white."""
    with styled(look):
        buffer = io.BytesIO()
        quick = {"compress_level": 4}  # of 9: half the time of the default 6, for files of the same size
        settings: Any = {"facecolor": "white", "metadata": {"Software": None}, "pil_kwargs": quick}
        figure.savefig(buffer, format="png", dpi=DPI, **settings)
    return buffer.getvalue()


@contextmanager
def styled(look: Style) -> Iterator[None]:
    """matplotlib's settings for a report."""
    settings: Any = {
        "font.family": list(look.fonts),
        "font.size": SIZE,
        "axes.unicode_minus": False,
        "text.parse_math": False,  # a dollar sign in a name is not a formula
        "text.color": INK,
        "path.simplify_threshold": 0.3,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings(), without_remarks():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # Look.missing reports it once
        yield


def _line(plot: Axes, curve: Curve, factor: float, *, log: bool, shade: float) -> None:
    keep = curve.x > 0 if log else np.ones(len(curve.x), bool)
    x, y = curve.x[keep] / factor, curve.y[keep]
    ink, dash = colour(curve.run), DASHES[curve.run // len(PALETTE) % len(DASHES)]
    if curve.band is not None:
        low, high = (end[keep] for end in curve.band)
        plot.fill_between(x, low, high, color=ink, alpha=shade, lw=0, zorder=1)
        if len(x) == 1:
            plot.vlines(x, low, high, color=ink, lw=1, zorder=3)
    if curve.heldout:
        plot.plot(x, y, color=ink, linestyle=dash, lw=1.5, zorder=4)
        plot.plot(x, y, color=ink, linestyle="", marker="o", ms=3.4 if len(x) < 40 else 2, mew=0, zorder=4)
    elif curve.smooth is None:
        plot.plot(x, y, color=ink, linestyle=dash, lw=1.1, zorder=3)
        if len(x) == 1:  # no line shows it
            plot.plot(x, y, color=ink, linestyle="", marker="o", ms=3.4, mew=0, zorder=3)
    else:
        plot.plot(x, y, color=ink, lw=0.6, alpha=0.22, zorder=2)
        plot.plot(x, curve.smooth[keep], color=ink, linestyle=dash, lw=1.0, zorder=3)


def _bars(figure: Figure, plot: Axes, chart: Chart, curves: Sequence[Curve], look: Style) -> None:
    """A bar for each run, from 0, with its interval and value."""
    last = [*{curve.run: curve for curve in curves}.values()]  # a held-out curve comes after the training's
    values = [float(curve.y[0]) for curve in last]
    ends = [curve.band or (curve.y, curve.y) for curve in last]
    lows, highs = [float(low[0]) for low, _ in ends], [float(high[0]) for _, high in ends]
    places = list(range(len(last)))
    plot.barh(places, values, 0.62, color=[colour(curve.run) for curve in last], alpha=0.85)
    for place, low, high in zip(places, lows, highs, strict=True):
        if high > low:
            plot.hlines(place, low, high, color=INK, lw=1)
        text, end = chart.metric.number(values[place]), (max(values[place], high, 0.0), place)
        plot.annotate(text, end, (4, 0), textcoords="offset points", va="center")
    plot.set_ylim(len(last) - 0.5, -0.5)
    figure.set_figheight(TOP + BOTTOM + BAR * len(last))
    most, least = max(0.0, *values, *highs), min(0.0, *values, *lows)
    plot.set_xlim(1.05 * least, 1.05 * most or 1.0)
    plot.set_yticks(places, [look.names[curve.run] for curve in last])
    plot.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    plot.xaxis.set_major_formatter(_ticks(chart))
    _bare(plot, grid="x", named="y")
    _lay(plot, width(figure, look.names) + 0.2, width(figure, ["0,000.000"]) + 0.1)
    _title(figure, chart)
    kind = "held-out" if any(curve.heldout for curve in last) else "training batches"
    label = (chart.band or kind) if chart.main else ""
    figure.text(0.06 / WIDTH, 1 - 0.4 / _high(figure), label, color=MUTED, va="center", fontsize=8)


def _bare(plot: Axes, *, grid: Literal["x", "y"], named: Literal["x", "y"] | None = None) -> None:
    """Remove the box, and draw a grid along one axis. named: the axis with names instead of numbers."""
    plot.grid(axis=grid, color=GRID, lw=0.7)
    plot.set_axisbelow(True)
    plot.patch.set_visible(False)
    plot.spines[["top", "left", "right"]].set_visible(False)
    plot.spines["bottom"].set_color(MUTED)
    plot.spines["bottom"].set_linewidth(0.7)
    plot.tick_params(axis="y", length=0, labelcolor=INK if named == "y" else MUTED)
    plot.tick_params(axis="x", length=3, width=0.7, color=MUTED, labelcolor=MUTED)


def _settled(curve: Curve, *, log: bool) -> Floats:
    """The y values that must be visible: on a linear axis without the first drop, which would flatten the rest."""
    y = curve.y if curve.smooth is None else curve.smooth
    return y if log or curve.smooth is None else y[curve.x >= FALL * curve.x[-1]]


def _frame(
    plot: Axes,
    chart: Chart,
    curves: Sequence[Curve],
    axis: Axis,
    factor: float,
    *,
    log: bool,
    level: float | None,
) -> None:
    """Limits, ticks, a horizontal grid, no box. level: a baseline; a score's is always visible."""
    shown = [_settled(curve, log=log) for curve in curves]
    shown += [end for curve in curves if curve.band is not None for end in curve.band]
    low = min((y.min() for y in shown), default=0.0)
    high = max((y.max() for y in shown), default=1.0)
    if level is not None:
        least, most = min(low, level), max(high, level)
        if (chart.share and 0 <= level <= 1) or most - least <= WIDER * (high - low):
            low, high = least, most
    margin = (high - low or abs(high) or 1.0) * 0.05
    zero = (chart.share and chart.from_zero) or not chart.main
    bottom = 0.0 if zero and low >= 0 else low - margin
    plot.set_ylim(bottom, high + margin)
    plot.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    plot.yaxis.set_major_formatter(_ticks(chart))
    if log:
        plot.set_xscale("log")
        ends = decade(np.concatenate([curve.x[curve.x > 0] for curve in curves]) / factor)
        plot.set_xlim(*ends)
        plot.xaxis.set_major_locator(LogLocator(subs=log_steps(*ends), numticks=8))
        plot.xaxis.set_minor_locator(NullLocator())
        plot.xaxis.set_minor_formatter(NullFormatter())
    else:
        plot.set_xlim(0, 1.01 * max((curve.x.max() / factor for curve in curves), default=1.0))
        counts = factor == 1.0 and axis.unit != "s"
        plot.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=counts))
    plot.xaxis.set_major_formatter(FuncFormatter(lambda v, _: number(v)))
    _bare(plot, grid="y")


def _ticks(chart: Chart) -> FuncFormatter:
    """Number format of the axis of the chart's figure."""
    return FuncFormatter(lambda v, _: f"{100 * v:.6g}" if chart.share else number(v))


def _title(figure: Figure, chart: Chart) -> None:
    """The title and unit of the figure."""
    text = short(figure, chart.metric.heading, 0.7 * WIDTH)
    figure.text(0.06 / WIDTH, 1 - 0.2 / _high(figure), text, fontsize=10, fontweight="bold", va="center")


def _legend(figure: Figure, chart: Chart, curves: Sequence[Curve]) -> None:
    """The legend of line styles."""
    kinds = {curve.heldout for curve in curves}
    smoothed = any(curve.smooth is not None for curve in curves)
    training = ["training batches"] * chart.main + ["smoothed"] * smoothed
    heldout_label = f"{chart.points}, {chart.band}" if chart.band else "held-out"
    entries = [(False, ", ".join(training)), (True, heldout_label)]
    x, below = 0.06, 1 - 0.4 / _high(figure)
    for heldout, text in [pair for pair in entries if pair[0] in kinds and pair[1]]:
        line = Line2D(
            [x / WIDTH, (x + 0.22) / WIDTH], [below, below], color=MUTED, lw=1.5 if heldout else 1.0
        )
        figure.add_artist(line)
        if heldout:
            dot = Line2D([(x + 0.11) / WIDTH], [below], color=MUTED, marker="o", ms=3.4, mew=0)
            figure.add_artist(dot)
        figure.text((x + 0.28) / WIDTH, below, text, color=MUTED, va="center", fontsize=8)
        x += 0.28 + width(figure, [text]) + 0.2


def _labels(chart: Chart, curves: Sequence[Curve], look: Style) -> list[tuple[float, int, str]]:
    """Height, run and text of the label at the end of each run's line: its name and, for results, last value."""
    last = {curve.run: curve for curve in curves}  # the held-out curve comes after that of the training
    labels = []
    for run, curve in last.items():
        y = float((curve.y if curve.smooth is None else curve.smooth)[-1])
        labels.append((y, run, look.names[run] + f"  {chart.metric.number(y)}" * chart.main))
    return labels


def _place(figure: Figure, plot: Axes, labels: Sequence[tuple[float, int, str]]) -> None:
    """Write the labels at the right, each as near to its line's height as the others allow."""
    bottom, top = plot.get_ylim()
    height = (_high(figure) - TOP - BOTTOM) * 72 / LINE  # in lines of text
    ordered = sorted(labels)
    wanted = [(y - bottom) / (top - bottom) * height for y, *_ in ordered]
    places = apart(wanted)
    for rank, (_, run, text) in enumerate(ordered):
        # None below the axis, none above the plot.
        at = min(max(places[rank], rank), height - (len(ordered) - 1 - rank))
        plot.text(1.015, at / height, text, transform=plot.transAxes, color=colour(run), va="center")
