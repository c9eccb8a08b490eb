"""The result of an experiment as a self-contained HTML page, without scripts."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size

from nlptool.metric_table import Metric
from nlptool.report import html_page
from nlptool.report.html_page import html_text, prose

TEMPLATE = Path(__file__).with_name("experiment_page.html")

# A chart: its width, the space to the right of its axis, heights.
WIDTH, RIGHT, ROW, TOP = (440, 18, 26, 8)
TICKS = 2  # smallest number of steps of the axis; up to five
CELLS, CELL = 24, 7.8  # columns of an arm's name beside its interval, two for a Hangul syllable; their width


class Arm(NamedTuple):
    """Mean of an arm, its 95 % interval with several seeds, and the values of the seeds."""

    name: str
    value: float
    low: float | None
    high: float | None
    values: Sequence[float]


class Series(NamedTuple):
    """A measure of all arms."""

    title: str
    metric: Metric
    arms: Sequence[Arm]


def page(
    result: Mapping[str, Any],
    facts: Sequence[str],
    claims: Sequence[Sequence[str]],
    series: Sequence[Series],
    recipe: str,
) -> str:
    """The page. facts: paragraphs. claims: rows of claim, paper, found here, verdict. recipe: the experiment's YAML."""
    lead, *notes = facts
    parts = {
        "source": prose(result["source"]),
        "claims": "".join(_claim(row) for row in claims),
        "lead": prose(lead),
        "notes": "".join(f"<p>{prose(note)}</p>" for note in notes),
        "figures": "".join(f"<figure>{_chart(one)}</figure>\n" for one in series),
        "recipe": html_text(recipe),
    }
    return html_page.filled(TEMPLATE, result["title"], parts, width=62)


def _claim(row: Sequence[str]) -> str:
    claim, paper, here, verdict = row
    kind = verdict.replace(" ", "-")
    found = "".join(f"<li>{prose(one)}</li>" for one in here.split("; "))
    there = f'<p class="paper">The paper: {prose(paper)}</p>' if paper else ""
    head = f"<h3>{prose(claim)} <b>{html_text(verdict)}</b></h3>"
    return f'<section class="{kind}">{head}{there}<ul>{found}</ul></section>\n'


def _chart(series: Series) -> str:
    """Means with their intervals, a line for each arm, and each seed as a faint dot."""
    ends = [
        end for arm in series.arms for end in (arm.low, arm.high, arm.value, *arm.values) if end is not None
    ]
    low, high = min(ends), max(ends)
    margin = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    low, high = max(low - margin, 0.0) if low >= 0 else low - margin, high + margin
    height = TOP + ROW * len(series.arms) + 24
    names = [_short(arm.name) for arm in series.arms]
    left = 14 + CELL * max(map(cell_len, names))

    def x(value: float) -> float:
        return left + (WIDTH - left - RIGHT) * (value - low) / (high - low)

    bottom = TOP + ROW * len(series.arms)
    parts = []
    for value in _ticks(low, high):
        at = f"{x(value):.1f}"
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{at}" y="{bottom + 16}">{html_text(series.metric.number(value))}</text>'
        )
    for row, (arm, name) in enumerate(zip(series.arms, names, strict=True)):
        y = TOP + ROW * (row + 0.5)
        parts.append(f'<text class="arm" x="{left - 8:.1f}" y="{y + 4:.1f}">{html_text(name)}</text>')
        parts += [f'<circle class="seed" cx="{x(value):.1f}" cy="{y:.1f}" r="2.5"/>' for value in arm.values]
        if arm.low is not None and arm.high is not None:
            parts.append(
                f'<line class="interval" x1="{x(arm.low):.1f}" x2="{x(arm.high):.1f}" y1="{y}" y2="{y}"/>'
            )
        parts.append(f'<circle class="mean" cx="{x(arm.value):.1f}" cy="{y:.1f}" r="4"/>')
    unit = {"share": " (%)", "": ""}.get(series.metric.unit, f" ({series.metric.unit})")
    label = html_text(f"{series.title}: means with 95 % intervals over seeds")
    return (
        f"<figcaption>{prose(series.title + unit)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within the ends of an axis."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (5, 2, 1) if step * power <= rough)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _short(name: str) -> str:
    return name if cell_len(name) <= CELLS else f"{set_cell_size(name, CELLS - 1).rstrip()}…"
