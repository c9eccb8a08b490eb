"""Stages and baselines behind the lines of a chart."""

from dataclasses import replace
from pathlib import Path

import pytest
from folders import falling, write_run

from nlptool.report.curves import AXES, charts
from nlptool.report.marks import Marks, of
from nlptool.report.runs import Run, read_all
from nlptool.runs.run_state import Goal


@pytest.fixture
def run(tmp_path: Path) -> Run:
    lines = [line | {"heldout/mlm_accuracy": 0.3, "heldout/mlm_majority": 0.05} for line in falling()]
    (found,) = read_all([write_run(tmp_path / "a", lines)])
    last = found.step
    return replace(found, unigram_entropy=6.7, goal=Goal(last, None, (0, last // 2)))


def marks(name: str, *runs: Run) -> Marks:
    (chart,) = [chart for chart in charts(runs) if chart.metric.key == name]
    return of(chart, runs, AXES[0])


def test_the_second_stage_and_the_entropy_are_marked(run: Run):
    assert marks("mlm", run) == Marks((run.step // 2,), 6.7, "unigram entropy")
    assert marks("mlm_accuracy", run) == Marks((run.step // 2,), 0.05, "majority")


def test_what_differs_between_runs_is_not_marked(run: Run):
    other = replace(run, unigram_entropy=5.0, goal=Goal(run.step, None, (0, run.step // 3)))
    assert marks("mlm", run, run).stages == (run.step // 2,)
    assert marks("mlm", run, other) == Marks()


def test_a_teacher_is_the_level_where_there_is_one(run: Run):
    figures = run.figures | {"heldout/teacher_mlm_accuracy": run.figures["heldout/mlm_accuracy"]}
    assert marks("mlm_accuracy", replace(run, figures=figures))[1:] == (0.3, "teacher")


def test_they_are_drawn_where_they_can_be_seen(run: Run):
    pytest.importorskip("matplotlib")
    from nlptool.report.curves import curves
    from nlptool.report.drawing import Style, draw, svg

    look = Style.of(["a"])
    (chart,) = [chart for chart in charts([run]) if chart.metric.key == "mlm_accuracy"]
    lines = curves(chart, [run], AXES[0])
    plain = svg(draw(chart, lines, AXES[0], look), look, letters=True)
    marked = svg(draw(chart, lines, AXES[0], look, marked=of(chart, [run], AXES[0])), look, letters=True)
    far = svg(draw(chart, lines, AXES[0], look, marked=Marks((), 99.0, "far")), look, letters=True)
    assert "majority" in marked
    assert "majority" not in plain
    assert far == plain


def test_a_fine_tuned_score_is_marked_with_what_it_is_compared_with(tmp_path: Path):
    lines = [line | {"heldout/accuracy": 0.6} for line in falling()[:1]]
    seed = write_run(tmp_path / "tuned" / "seed-0", lines)
    (before,) = read_all([seed])
    assert marks("accuracy", before).level is None
    (tmp_path / "tuned" / "scores.json").write_text(
        '{"baseline": {"accuracy": 0.47}, "baseline_name": "majority"}'
    )
    (run,) = read_all([seed])
    assert marks("accuracy", run)[1:] == (0.47, "majority")
    pytest.importorskip("matplotlib")
    from nlptool.report.curves import curves
    from nlptool.report.drawing import Style, draw, svg

    (chart,) = [chart for chart in charts([run]) if chart.metric.key == "accuracy"]
    lines, look = curves(chart, [run], AXES[0]), Style.of(["seed-0"])
    assert "majority" in svg(
        draw(chart, lines, AXES[0], look, marked=of(chart, [run], AXES[0])), look, letters=True
    )
