"""A histogram as hand-written SVG: no matplotlib, colours from the page.

Heights are logarithmic, since dropped documents are a small tail. All bins have the same width.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from nlptool.formatting import significant

WIDTH, HEIGHT = 320, 116  # of the plot's own units
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 8, 20
HALF = 3  # half a letter's width
TICKS = 6  # most labels below the bins


def draw(
    counts: Sequence[int], edges: Sequence[float], at_least: float | None, at_most: float | None, label: str
) -> str:
    """The SVG of a histogram; bins beyond a limit are marked as dropped, and each limit is a line.

    counts: of each bin that begins at an edge; the last bin is open. label: what a screen reader says, as HTML.
    """
    limits = [_place(limit, edges) for limit in (at_least, at_most) if limit is not None]
    first, last = _shown(counts, limits)
    across = (WIDTH - LEFT - RIGHT) / (last - first)
    tall, top = HEIGHT - TOP - BOTTOM, math.log10(max(counts, default=1) + 1)
    top = max(top, 1)
    parts = [
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">',
        *_grid(top, tall),
    ]
    for number in range(first, last):
        if count := counts[number]:
            high = max(math.log10(count + 1) / top * tall, 1.5)
            kind = "out" if _beyond(number, edges, at_least, at_most) else "in"
            left = LEFT + (number - first) * across
            parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{TOP + tall - high:.1f}" width="{max(across - 1, 0.8):.1f}" '
                f'height="{high:.1f}"><title>{_span(number, edges)}: {count:,}</title></rect>'
            )
    for place in limits:
        x = LEFT + (place - first) * across
        parts.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{TOP + tall}"/>')
    for value in _ticks(edges[first], edges[last] if last < len(edges) else math.inf, edges):
        written = _written(value)
        x = min(LEFT + (_place(value, edges) - first) * across, WIDTH - HALF * len(written))
        parts.append(f'<text class="value" x="{x:.1f}" y="{HEIGHT - 6}">{written}</text>')
    return "".join([*parts, "</svg>"])


def _grid(top: float, tall: float) -> list[str]:
    """Lines at 1, 10, 100 and so on, some omitted if there are many."""
    parts = []
    step = max(1, math.ceil(top / 4))
    for power in range(0, math.ceil(top) + 1, step):
        y = TOP + tall - math.log10(10**power + 1) / top * tall
        if y >= TOP - 1:
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="n" x="{LEFT - 4}" y="{y + 3:.1f}">{_written(10**power)}</text>')
    return parts


def _shown(counts: Sequence[int], limits: Sequence[float]) -> tuple[int, int]:
    """The nonempty bins, and those with the limits; at least eight."""
    used = [number for number, count in enumerate(counts) if count]
    used += [min(int(place), len(counts) - 1) for place in limits]
    first, last = min(used, default=0), max(used, default=0) + 1
    if last - first < 8:
        first = max(0, min(first, len(counts) - 8))
        last = min(len(counts), first + 8)
    return first, last


def _place(value: float, edges: Sequence[float]) -> float:
    """Position of a value, in bins from the first edge."""
    for number, (low, high) in enumerate(pairwise(edges)):
        if value < high:
            even = (
                (value - low) / (high - low) if low <= 0 or high <= 1 else math.log(value / low, high / low)
            )
            return number + max(even, 0.0)
    return float(len(edges) - 1)


def _beyond(number: int, edges: Sequence[float], at_least: float | None, at_most: float | None) -> bool:
    """Whether a bin lies beyond a limit; the limits are edges."""
    low = at_least is not None and edges[number] < at_least
    return low or (at_most is not None and edges[number] > at_most)


def _ticks(low: float, high: float, edges: Sequence[float]) -> list[float]:
    """Round values to label between two edges, at most TICKS."""
    if edges[-1] <= 2:
        choices = [[round(step * number, 2) for number in range(101)] for step in (0.02, 0.05, 0.1, 0.2)]
    else:
        choices = [
            [0.0, *(one * 10.0**power for power in range(0, 9, step) for one in ones)]
            for step, ones in ((1, (1, 2, 5)), (1, (1,)), (2, (1,)))
        ]
    found: list[float] = []
    for choice in choices:
        found = [value for value in choice if low <= value <= min(high, edges[-1])]
        if len(found) <= TICKS:
            break
    return found


def _span(number: int, edges: Sequence[float]) -> str:
    start = _written(edges[number])
    return f"{start} to {_written(edges[number + 1])}" if number + 1 < len(edges) else f"{start} and more"


def _written(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{significant(value / size)}{letter}"
    return significant(value)
