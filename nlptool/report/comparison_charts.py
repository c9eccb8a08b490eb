"""Charts of a comparison: losses and scores against FLOPs, as in figure 1 of ELECTRA (Clark et al. 2020)."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nlptool.atomic_files import write_bytes, write_text
from nlptool.extras import install
from nlptool.formatting import counted
from nlptool.manifests import plain_names
from nlptool.metric_table import Metric, describe
from nlptool.report import suite_scores
from nlptool.report.verdict import SUITE

if TYPE_CHECKING:
    from nlptool.report.curves import Curve

KINDS = ("loss", "score")


class Point(NamedTuple):
    """A figure of a run after a number of FLOPs."""

    flops: float
    value: float
    low: float | None = None
    high: float | None = None


class Picture(NamedTuple):
    """A chart of all runs with a figure; figures with different keys are never in one chart."""

    metric: Metric
    points: dict[int, list[Point]]
    """By the run's number."""
    band: str
    """Meaning of the points' low and high ends."""

    @property
    def compares(self) -> bool:
        """Whether it shows more than a single number, which the table has."""
        return sum(map(len, self.points.values())) > 1


def draw(runs: Sequence[Mapping[str, Any]], out: Path) -> tuple[list[str], list[str]]:
    """Write each chart as SVG and PNG; returns the files' names, and notes."""
    found = [*_heldout(runs), *_scores(runs), *_suite(runs)]
    pictures = [picture for picture in found if picture.compares]
    if find_spec("matplotlib") is None:
        return [], [f"no picture: matplotlib is not installed; {install('report')}"]
    from nlptool.report import drawing
    from nlptool.report.curves import Axis, Chart

    look = drawing.Style.of([run["run"] for run in runs], [picture.metric.title for picture in pictures])
    written = []
    files = plain_names(f"compare-{picture.metric.key}" for picture in pictures)
    for file, picture in zip(files, pictures, strict=True):
        key = picture.metric.key
        chart = Chart(file, picture.metric, None, key, from_zero=False, band=picture.band)
        curves = [_curve(number, points) for number, points in picture.points.items()]
        figure = drawing.draw(chart, curves, Axis("flops", "FLOP"), look)
        write_text(out / f"{file}.svg", drawing.svg(figure, look, letters=False))
        write_bytes(out / f"{file}.png", drawing.png(figure, look))
        written += [f"{file}.svg", f"{file}.png"]
    return written, [look.remark] if look.remark else []


def _heldout(runs: Sequence[Mapping[str, Any]]) -> Iterator[Picture]:
    """Held-out losses and scores at the checkpoints."""
    found: dict[str, dict[int, list[Point]]] = {}
    for number, run in enumerate(runs):
        for point in run["points"]:
            for key, value in point["heldout"].items():
                ends = point.get("intervals", {}).get(key, (None, None))
                found.setdefault(key, {}).setdefault(number, []).append(Point(point["flops"], value, *ends))
    for kind in KINDS:
        for key, points in found.items():
            if describe(key).kind == kind:
                yield Picture(describe(key), points, _band(runs) or "held-out rows")


def _scores(runs: Sequence[Mapping[str, Any]]) -> Iterator[Picture]:
    """Scores of the checkpoints."""
    found: dict[str, dict[int, list[Point]]] = {}
    for number, run in enumerate(runs):
        for point in run["points"]:
            for name, score in point["scores"].items():
                one = Point(point["flops"], score["value"], score["low"], score["high"])
                found.setdefault(name, {}).setdefault(number, []).append(one)
    for name, points in found.items():
        yield Picture(_score_metric(name), points, _band(runs) or "95 % intervals")


def _band(runs: Sequence[Mapping[str, Any]]) -> str:
    """Meaning of the bands around means; empty if each run has one seed."""
    most = max((run.get("seeds", 1) for run in runs), default=1)
    return f"means of {counted(most, 'seeds')}, 95 % intervals" if most > 1 else ""


def _suite(runs: Sequence[Mapping[str, Any]]) -> Iterator[Picture]:
    """Scores of the runs in each task of the suite, and their mean."""
    found: dict[str, dict[int, list[Point]]] = {}
    for number, run in enumerate(runs):
        taken = run.get("suite", [])
        means = {one["task"]: suite_scores.mean([one]) for one in taken}
        if len(taken) > 1:
            means[SUITE] = suite_scores.mean(taken)
        for name, mean in means.items():
            if mean is not None:
                ends = mean.value - mean.std, mean.value + mean.std
                one = Point(run["points"][-1]["flops"], mean.value, *ends)
                found.setdefault(name, {})[number] = [one]
    for name, points in found.items():
        yield Picture(_score_metric(name), points, "± standard deviation between seeds, or standard error")


def _score_metric(name: str) -> Metric:
    return Metric(name, name, "share", "higher", "score")


def _curve(number: int, points: Sequence[Point]) -> "Curve":
    import numpy as np

    from nlptool.report.curves import Curve

    x, y = np.array([(point.flops, point.value) for point in points]).T
    ends = [(point.low, point.high) for point in points if point.low is not None]
    band = (np.array([low for low, _ in ends]), np.array([high for _, high in ends])) if ends else None
    return Curve(number, True, x, y, None, band)
