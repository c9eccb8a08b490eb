"""The report as one HTML page that needs nothing else: no network, no other file, and of scripts only the switch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import MappingProxyType

from nlptool.report import html_page, tables
from nlptool.report.curves import EMA, SMOOTH_FROM, Axis, Chart, views
from nlptool.report.drawing import GRID, INK, MUTED, PALETTE
from nlptool.report.html_page import html_text, prose, unbroken
from nlptool.report.runs import Run

TEMPLATE = Path(__file__).with_name("page.html")

# The palette on a dark ground, colour by colour: lighter where it would sink into it.
DARK = ("#4aa8e0", "#f2854b", "#2fc79a", "#e3a1c6", "#f0b93a", "#8fd0f5", "#a6afba")
AXIS_NAMES = {"steps": "steps", "tokens": "tokens", "flops": "FLOPs", "time": "time"} | {
    "shots": "examples",
    "parameters": "model size",
}
SCORED = 2  # columns of a table of prompted scores that tell what a row is of: the task, the shots
WHOLE = 24  # letters of a name that a line has room for
MOST_COLUMNS = 9  # that a wide screen has room for; a table of few runs is turned then
IMAGE = 'role="img"'
ROLE = 'role="img" aria-label="the paths that an answer rests on"'
NUMBER = re.compile(r"-?[\d,.]*( %)?|[\d.]+e[+-]?\d+|(\d+[smhd]\d*)+[smh]?")

Drawn = Mapping[tuple[str, str, bool], str]
"""SVG texts by name of the chart, name of the axis, and whether it is logarithmic."""


def page(
    runs: Sequence[Run],
    charts: Sequence[Chart],
    axes: Sequence[Axis],
    drawn: Drawn,
    answers: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """The page of training runs. answers: by run, SVG texts of what its answers rest on."""
    differences = tables.differences(runs)
    sections = [_answers(name, pictures, len(runs) > 1) for name, pictures in answers.items()]
    final = tables.final(runs)
    if len(final.columns) > MOST_COLUMNS > 2 * len(final.rows):
        final = tables.turned(final)
    sections += [_section("Final figures", _table(final), "final" if len(final.columns) > 2 else "plain")]
    if len(differences.columns) > max(MOST_COLUMNS, len(differences.rows)):
        differences = tables.turned(differences)
    if differences.rows:
        sections.append(_section("Where the recipes differ", _table(differences)))
    sections.append(_section("Environment", _table(tables.environment(runs))))
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} training runs"
    chips = "".join(_chip(number, run) for number, run in enumerate(runs))
    return _whole(title, chips, axes, _figures(runs, charts, axes, drawn), sections)


def fewshot_page(
    title: str, charts: Sequence[Chart], axes: Sequence[Axis], drawn: Drawn, scores: tables.Table
) -> str:
    """The page of prompt runs."""
    figures = _switch(axes) + _grid(charts, axes, drawn, count())
    note = f'<p class="note">{unbroken("Bands are 95 % intervals over the questions.")}</p>'
    table = _table(scores, of_the_row=SCORED)
    return _whole(title, "", axes, figures + note, [_section("Scores, ± standard errors", table, "final")])


def suite_page(title: str, caption: str, pictures: Sequence[str], scores: tables.Table) -> str:
    """The page of a suite. pictures: SVG texts, in their order."""
    figures = "".join(
        f'<figure class="fixed">{_embedded(svg, f"chart{number}-", IMAGE)}</figure>'
        for number, svg in enumerate(pictures)
    )
    shown = _section(prose(caption), _table(scores, of_the_row=1), "final")
    return _whole(title, "", [], f'<div class="figures">{figures}</div>', [shown])


def _whole(title: str, chips: str, axes: Sequence[Axis], figures: str, sections: Sequence[str]) -> str:
    """The page. Colours are variables in it, so that it is light or dark as the reader's screen."""
    shown = "\n".join(
        f'[data-x="{axis.name}"][data-scale="{scale}"] svg[data-x="{axis.name}"][data-scale="{scale}"] '
        "{ display: block }"
        for axis in axes
        for scale in ("linear", "log")
    )
    parts = {
        "light": _variables(PALETTE),
        "dark": _variables(DARK),
        "shown": shown,
        "first": axes[0].name if axes else "",
        "runs": chips,
        "figures": figures,
        "sections": "\n".join(sections),
    }
    return html_page.filled(TEMPLATE, title, parts, width=78, script=True)


def _switch(axes: Sequence[Axis]) -> str:
    radios = "".join(
        f'<label><input type="radio" name="x" value="{axis.name}"{" checked" * (index == 0)}> '
        f"{AXIS_NAMES[axis.name]}</label>"
        for index, axis in enumerate(axes)
    )
    log = '<label><input type="checkbox" name="log" value="1"> logarithmic</label>'
    return f'<form class="switch" autocomplete="off"><span>against</span>{radios}{log}</form>'


def _figures(runs: Sequence[Run], charts: Sequence[Chart], axes: Sequence[Axis], drawn: Drawn) -> str:
    if not axes or not charts:
        return '<p class="note">No figures yet.</p>'
    notes = [
        f"Each point of a training curve is the mean since the point before. From {SMOOTH_FROM} points on, they are "
        f"faint, and the strong line is their {EMA}."
    ]
    if any(stage < run.step for run in runs for stage in run.stages):
        notes.append("A dotted line marks where another stage begins.")
    lacking = [run.name for run in runs if run.step and run.last("flops") is None]
    if lacking and any(axis.name == "flops" for axis in axes):
        notes.append(
            f"Not shown against FLOPs, which they did not record: {', '.join(map(html_text, lacking))}."
        )
    numbers = count()
    main = _grid([chart for chart in charts if chart.compared], axes, drawn, numbers)
    course = _grid([chart for chart in charts if not chart.compared], axes, drawn, numbers)
    heading = f"Course of training, against {AXIS_NAMES[axes[0].name]}"
    note = f'<p class="note">{unbroken(" ".join(notes))}</p>'
    return f"{_switch(axes)}{main}{note}{_section(heading, course) if course else ''}"


def _grid(charts: Sequence[Chart], axes: Sequence[Axis], drawn: Drawn, numbers: Iterator[int]) -> str:
    """Charts side by side. numbers: those that ids begin with."""
    figures = ""
    for chart in charts:
        inner = "".join(
            inline(drawn[chart.name, axis.name, log], f"chart{next(numbers)}-", chart, axis, log=log)
            for axis, log in views(chart, axes)
        )
        kind = "" if chart.compared else ' class="fixed"'
        figures += f'<figure id="{html_text(chart.name)}"{kind}>{inner}</figure>\n'
    return f'<div class="figures">{figures}</div>' if figures else ""


def inline(svg: str, own: str, chart: Chart, axis: Axis, *, log: bool) -> str:
    """An SVG of matplotlib as part of a page: colours from the page, as wide as there is room.

    own: what its ids begin with; made of letters and digits, since it stands in attributes and in url(#...).
    """
    scale = "log" if log else "linear"
    label = html_text(f"{chart.metric.heading} against {AXIS_NAMES[axis.name]}{', logarithmic' * log}")
    return _embedded(svg, own, f'data-x="{axis.name}" data-scale="{scale}" role="img" aria-label="{label}"')


def _answers(name: str, pictures: Sequence[str], several: bool) -> str:
    """What the answers of a run rest on."""
    title = f"What answers rest on{f': {html_text(name)}' * several}"
    note = (
        "Validation rows: the probability of each choice, and its paths with most attention, as bars; the attention "
        "over all paths of a choice sums to 1."
    )
    figures = "".join(
        f'<figure class="answer">{_embedded(svg, f"answer{number}-", ROLE)}</figure>'
        for number, svg in enumerate(pictures)
    )
    return f'<h2>{title}</h2><p class="note">{note}</p><div class="figures">{figures}</div>'


def _embedded(svg: str, own: str, attributes: str) -> str:
    """An SVG of matplotlib with colours of the page, and ids that begin with `own`."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
    known = {name for pair in used for name in pair if name}
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{own}{m[1]}"' if m[1] in known else "", body)
    body = body.replace('xlink:href="#', f'href="#{own}')
    body = body.replace("url(#", f"url(#{own}")
    colours = {INK: "--ink", MUTED: "--muted", GRID: "--grid"} | {
        c: f"--run{i}" for i, c in enumerate(PALETTE)
    }
    for colour, variable in colours.items():
        body = body.replace(colour, f"var({variable})")
    view = re.search(r'viewBox="[^"]+"', body)
    assert view is not None  # matplotlib gives every figure one
    start = f"<svg {view[0]} {attributes}>"
    return re.sub(r"\s*\n\s*", "\n", start + body[body.index(">") + 1 :]).strip()


def _chip(number: int, run: Run) -> str:
    variable = f"--run{number % len(PALETTE)}"
    style = ("solid", "dashed", "dotted")[number // len(PALETTE) % 3]
    line = f'<i style="border-color: var({variable}); border-top-style: {style}"></i>'
    path = f" <small>{html_text(str(run.path))}</small>" * (str(run.path) != run.name)
    return f"<li>{line}{html_text(run.name)}{path}</li>"


def _section(title: str, content: str, kind: str = "") -> str:
    return f'<h2>{title}</h2>\n<div class="{f"wide {kind}".strip()}">{content}</div>'


def _table(table: tables.Table, of_the_row: int = 0) -> str:
    """Columns of numbers stand to the right. data-name: the column, for screens on which a row is a list.

    of_the_row: how many columns tell what a row is of. Those that are empty are as in the row above, which a list says.
    """
    numeric = [
        column > 0 and all(NUMBER.fullmatch(row[column]) for row in table.rows)
        for column in range(len(table.columns))
    ]
    classes = [' class="n"' * number for number in numeric]
    head = "".join(f"<th{kind}>{_name(name)}</th>" for kind, name in zip(classes, table.columns, strict=True))
    rows, before = "", [""] * of_the_row
    for row in table.rows:
        before = [cell or above for cell, above in zip(row, before, strict=False)]
        shown = [*map(_again, row, before), *map(prose, row[of_the_row:])]
        cells = [
            f'<td{kind} data-name="{html_text(name)}">{cell}</td>'
            for kind, name, cell in zip(classes[1:], table.columns[1:], shown[1:], strict=True)
        ]
        rows += f"<tr><th>{shown[0]}</th>{''.join(cells)}</tr>\n"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _again(cell: str, above: str) -> str:
    """A cell, or what stands above an empty one, which is seen where rows are lists."""
    return prose(cell) if cell or not above else f'<span class="again">{prose(above)}</span>'


def _name(column: str) -> str:
    """A column's name, which is broken at its spaces, not at a hyphen of a run's name, unless it is long."""
    name = html_text(column)
    return name if " " in column or len(column) > WHOLE else f"<nobr>{name}</nobr>"


def _variables(colours: Sequence[str]) -> str:
    return " ".join(f"--run{number}: {colour};" for number, colour in enumerate(colours))
