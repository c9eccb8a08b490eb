"""`nlptool report RUN ...`: what runs came to, as one page, as pictures, and as a table on the screen."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nlptool.console import Console, Options
from nlptool.errors import UsageError
from nlptool.extras import install
from nlptool.manifests import atomic_folder
from nlptool.runs import folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nlptool.report.curves import Axis
    from nlptool.report.drawing import Style
    from nlptool.report.fewshot import FewshotChart
    from nlptool.report.runs import Run
    from nlptool.report.suite_page import Scores
    from nlptool.report.tables import Table

PAGE = "index.html"


def run(paths: Sequence[Path], out: Path, *, overwrite: bool, as_json: bool, console: Console) -> None:
    """Write the page and, beside it, its charts as SVG, against their first axis also as PNG.

    Raises UsageError for a folder that is not a run, and when matplotlib is not installed.
    """
    folder.prepare_output_folder(out, Options(overwrite=overwrite), holds=PAGE, reads=map(str, paths))
    from nlptool.report import fewshot, suite_page, tables
    from nlptool.report import runs as reading

    if len(paths) == 1 and suite_page.is_suite(paths[0]):
        _report_suite(paths[0], out, as_json=as_json, console=console)
        return
    if any(map(fewshot.is_prompted, paths)):
        _report_prompted(paths, out, as_json=as_json, console=console)
        return
    runs = reading.read_all(paths)
    _require_matplotlib()
    with atomic_folder(out) as aside:
        pictures = _write(runs, aside, console)
    differences = tables.differences(runs)
    if as_json:
        console.json(
            {
                "page": str(out / PAGE),
                "pictures": [str(out / name) for name in pictures],
                "runs": [tables.facts(run) for run in runs],
                "differences": {key: values for key, *values in differences.rows},
            }
        )
        return
    console.table(*tables.final(runs))
    if differences.rows:
        console.result("")
        console.table(*differences)
    console.result("")
    _report(out, pictures, console)


def diff(paths: Sequence[Path], *, as_json: bool, console: Console) -> None:
    """Print the differences of runs: keys, data, versions, figures. Raises UsageError for any other folder."""
    from nlptool.report import runs as reading
    from nlptool.report import tables

    runs = reading.read_all(paths)
    if len(runs) == 1:
        raise UsageError(f"{paths[0]}: --diff compares two runs or more, and this is one")
    keys, ground = tables.differences(runs), tables.other_ground(runs)
    if as_json:
        console.json(
            {
                "runs": [tables.facts(run) for run in runs],
                "recipe": {key: values for key, *values in keys.rows},
                "environment": {key: values for key, *values in ground.rows},
            }
        )
        return
    for title, table in (("recipe", keys), ("data, versions, machine", ground)):
        if table.rows:
            console.table(*table, title=title)
        else:
            console.result(f"{title}: the same")
        console.result("")
    console.table(*tables.final(runs), title="figures")


def _write(runs: "Sequence[Run]", out: Path, console: Console) -> list[str]:
    """The page and the pictures; the names of the pictures."""
    from nlptool.report import curves as curving
    from nlptool.report import drawing, explanations, marks
    from nlptool.report.page import page

    charts, axes = curving.charts(runs), curving.axes(runs)
    look = drawing.Style.of([run.name for run in runs], [chart.metric.title for chart in charts])
    if look.remark:
        console.note(f"{look.remark}; the page takes the reader's fonts")
    explained = [(run, explanations.rows(run)) for run in runs]
    drawn, pictures, figure = {}, [], None
    views = [(chart, *view) for chart in charts for view in curving.views(chart, axes)]
    with console.progress("charts", len(views), "charts") as progress:
        for chart, axis, log in views:
            curves, marked = curving.curves(chart, runs, axis), marks.of(chart, runs, axis)
            figure = drawing.draw(chart, curves, axis, look, log=log, over=figure, marked=marked)
            text = drawn[chart.name, axis.name, log] = drawing.svg(figure, look, letters=True)
            if not log:
                pictures += _save(text, out, f"{chart.name}-{axis.name}")
                pictures += (
                    _save_png(figure, look, out, f"{chart.name}-{axis.name}") if axis == axes[0] else []
                )
            progress.advance(1)
    answers = dict[str, list[str]]()
    for number, (run, rows) in enumerate(explained):
        look = drawing.Style.of([run.name], [text for row in rows for text in explanations.texts(row)])
        for row in rows:
            name = f"answer-{number}-{row['row']}"
            answers.setdefault(run.name, []).append(explanations.write(row, name, out, look))
            pictures += [f"{name}.svg", f"{name}.png"]
    (out / PAGE).write_text(page(runs, charts, axes, drawn, answers), encoding="utf8")
    return pictures


def _report_prompted(paths: Sequence[Path], out: Path, *, as_json: bool, console: Console) -> None:
    """The page of prompt runs, and its charts beside it."""
    from nlptool.prompting.results import results_table
    from nlptool.report import fewshot
    from nlptool.report.tables import Table

    records = fewshot.read(paths)
    _require_matplotlib()
    shown = fewshot.charts(records)
    axes, scores = fewshot.axes(shown), Table(*results_table(records))
    title = paths[0].name if len(paths) == 1 else f"{len(paths)} runs of prompt"
    with atomic_folder(out) as aside:
        pictures = _write_prompted(title, shown, axes, scores, aside, console)
    if as_json:
        files = [str(out / name) for name in pictures]
        console.json({"page": str(out / PAGE), "pictures": files, "records": records})
        return
    console.table(*scores, title="± is the standard error")
    console.result("")
    _report(out, pictures, console)


def _report_suite(path: Path, out: Path, *, as_json: bool, console: Console) -> None:
    """The page of a suite, and its charts beside it."""
    from nlptool.prompting.results import model_labels
    from nlptool.report import suite_page, suite_scores
    from nlptool.report.tables import Table

    found = suite_page.read(path)
    scores = dict(zip(model_labels(list(found)), found.values(), strict=True))
    _require_matplotlib()
    caption = f"Scores in per cent, {suite_page.DEVIATION}"
    table = Table(*suite_scores.table(scores))
    with atomic_folder(out) as aside:
        pictures = _write_suite(path.name, scores, caption, table, aside, console)
    if as_json:
        files = [str(out / name) for name in pictures]
        console.json({"page": str(out / PAGE), "pictures": files, "suite": scores})
        return
    console.table(*table, title=caption)
    console.result("")
    _report(out, pictures, console)


def _write_suite(
    title: str, scores: "Scores", caption: str, table: "Table", out: Path, console: Console
) -> list[str]:
    from nlptool.report import drawing, suite_page
    from nlptool.report.page import suite_page as page_of

    charts = suite_page.charts(scores)
    look = drawing.Style.of(list(scores), [one.chart.metric.title for one in charts])
    if look.remark:
        console.note(f"{look.remark}; the page takes the reader's fonts")
    drawn, pictures = [], list[str]()
    for one in charts:
        figure = drawing.draw(one.chart, one.curves, suite_page.AXIS, look, marked=one.marks)
        drawn.append(drawing.svg(figure, look, letters=True))
        pictures += _save(drawn[-1], out, one.chart.name) + _save_png(figure, look, out, one.chart.name)
    (out / PAGE).write_text(page_of(title, caption, drawn, table), encoding="utf8")
    return pictures


def _write_prompted(
    title: str,
    shown: "Sequence[FewshotChart]",
    axes: "Sequence[Axis]",
    scores: "Table",
    out: Path,
    console: Console,
) -> list[str]:
    from nlptool.report import drawing
    from nlptool.report.page import fewshot_page

    drawn, pictures, remark = {}, [], ""
    for one in shown:
        chart = one.chart
        for axis in axes:
            curves, names = one.curves(axis)
            look = drawing.Style.of(names, [chart.metric.title])
            remark = remark or look.remark
            for log in (False, True):
                figure = drawing.draw(chart, curves, axis, look, log=log, marked=one.marks)
                text = drawn[chart.name, axis.name, log] = drawing.svg(figure, look, letters=True)
                if log == (axis.name == "parameters"):
                    pictures += _save(text, out, f"{chart.name}-{axis.name}")
                    pictures += _save_png(figure, look, out, f"{chart.name}-{axis.name}")
    if remark:
        console.note(f"{remark}; the page takes the reader's fonts")
    (out / PAGE).write_text(
        fewshot_page(title, [one.chart for one in shown], axes, drawn, scores), encoding="utf8"
    )
    return pictures


def _save(svg: str, out: Path, name: str) -> list[str]:
    """Write a chart as SVG; the file's name."""
    (out / f"{name}.svg").write_text(svg, encoding="utf8")
    return [f"{name}.svg"]


def _save_png(figure: "Figure", look: "Style", out: Path, name: str) -> list[str]:
    """Write a chart as PNG; the file's name."""
    from nlptool.report import drawing

    (out / f"{name}.png").write_bytes(drawing.png(figure, look))
    return [f"{name}.png"]


def _report(out: Path, pictures: Sequence[str], console: Console) -> None:
    shown = {"page": str(out / PAGE), "pictures": f"{len(pictures)} SVG and PNG files beside it"}
    console.facts(str(out), shown)


def _require_matplotlib() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError("report: matplotlib is not installed", hint=install("report"))
