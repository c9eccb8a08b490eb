"""Explanations as charts: the paths of each choice by attention, for some validation rows."""

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.cells import cell_len, set_cell_size

from nlptool.atomic_files import read_text, write_bytes, write_text
from nlptool.errors import DataError
from nlptool.formatting import percent
from nlptool.report import drawing
from nlptool.report.runs import REMEDY, Run
from nlptool.terminal import clean

EACH = 3
"""Number of rows shown with right answers, and with wrong ones."""
WIDTH, LINE, TOP = 5.4, 0.22, 0.12  # inches: width of a chart, height of a line, margin above the first
END = 22  # columns of the end of a truncated text
CELLS = 68  # characters of a line


def rows(run: Run) -> list[dict[str, Any]]:
    """The first rows with right and with wrong answers that have a path; empty for a task without explanations.

    Raises DataError for a file of predictions that cannot be read.
    """
    found: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for path in sorted((run.path / "predictions").glob("*.jsonl")):
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            try:
                answer = json.loads(line)
                if "statements" not in answer:
                    break  # another kind of task
                some = found[answer["prediction"] == answer["label"]]
                if len(some) < EACH and any(answer["paths"].values()):
                    some.append(answer)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DataError(f"{path}:{number}: is not a line of predictions", hint=REMEDY) from None
    return found[True] + found[False]


def texts(answer: dict[str, Any]) -> list[str]:
    """All text of a chart, for which fonts must have letters."""
    return [
        *answer["statements"].values(),
        *(one["path"] for some in answer["paths"].values() for one in some),
    ]


def draw(answer: dict[str, Any], look: drawing.Style) -> Figure:
    """Draw the choices of a row with their probabilities, and below each its paths with bars for their attention."""
    lines: list[tuple[str, float, bool]] = []
    for name, statement in answer["statements"].items():
        marks = {answer["label"]: ", right", answer["prediction"]: ", answered"}
        mark = ", right, answered" if name == answer["label"] == answer["prediction"] else marks.get(name, "")
        probability = f"  ({percent(answer['scores'][name])}{mark})"
        lines.append((_fitting(clean(statement), CELLS - cell_len(probability)) + probability, 0.0, True))
        lines += [(clean(one["path"]), one["attention"], False) for one in answer["paths"][name]]
        if not answer["paths"][name]:
            lines.append(("no path", 0.0, False))
    height = TOP + LINE * len(lines) + TOP
    with drawing.styled(look):
        figure = Figure(figsize=(WIDTH, height), facecolor="none")
        FigureCanvasAgg(figure)
        plot = figure.add_axes((0.02, TOP / height, 0.96, 1 - 2 * TOP / height))
        plot.set_axis_off()
        plot.set_xlim(0, 1)
        plot.set_ylim(len(lines) - 0.5, -0.5)
        for place, (text, attention, heading) in enumerate(lines):
            if attention:
                plot.barh(
                    place,
                    attention * 0.9,
                    height=0.82,
                    left=0.02,
                    color=drawing.PALETTE[0],
                    alpha=0.25,
                    linewidth=0,
                )
            plot.text(
                0 if heading else 0.03,
                place,
                text if heading else _fitting(text, CELLS),
                parse_math=False,
                va="center",
                color=drawing.INK if heading or attention else drawing.MUTED,
                fontweight="bold" if heading else "normal",
            )
            if attention:
                plot.text(1, place, f"{attention:.2f}", va="center", ha="right", color=drawing.MUTED)
    return figure


def _fitting(text: str, room: int) -> str:
    """The part of a text that fits `room` columns: its beginning, and its end, which names the choice."""
    if cell_len(text) <= room:
        return text
    end = text[-END:]
    while cell_len(end) > END:
        end = end[1:]
    return f"{set_cell_size(text, room - 1 - cell_len(end)).rstrip()}…{end.lstrip()}"


def write(answer: dict[str, Any], name: str, out: Path, look: drawing.Style) -> str:
    """Write OUT/NAME.svg and .png; returns the SVG for the page, with text kept."""
    figure = draw(answer, look)
    write_text(out / f"{name}.svg", drawing.svg(figure, look, letters=False))
    write_bytes(out / f"{name}.png", drawing.png(figure, look))
    return drawing.svg(figure, look, letters=True)
