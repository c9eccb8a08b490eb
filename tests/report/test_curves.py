import math
from pathlib import Path

import numpy as np
import pytest
from folders import falling, write_run

from nlptool.report.curves import AXES, Axis, axes, charts, curves, ema, positions
from nlptool.report.runs import Series, read, read_all

STEPS, TOKENS, FLOPS, TIME = AXES


@pytest.mark.parametrize(
    ("axis", "expected"), [(STEPS, [10, 15]), (TOKENS, [1000, 1500]), (FLOPS, [2e9, 3e9]), (TIME, [5.0, 7.5])]
)
def test_steps_have_places_on_every_axis(tmp_path: Path, axis: Axis, expected: list[float]):
    run = read(write_run(tmp_path / "a", falling()), "a")
    assert positions(run, axis, [10, 15]).tolist() == expected


def test_an_axis_that_no_run_has_figures_for_is_not_offered(tmp_path: Path):
    lines = [{name: v for name, v in line.items() if name != "flops"} for line in falling()]
    runs = read_all([write_run(tmp_path / "a", lines), write_run(tmp_path / "empty", [])])
    assert axes(runs) == [STEPS, TOKENS, TIME]
    assert axes(runs[1:]) == []


def test_a_loss_stands_before_its_accuracy_and_the_course_of_the_run_last(tmp_path: Path):
    found = charts(read_all([write_run(tmp_path / "a", falling())]))
    assert [chart.name for chart in found] == ["mlm", "mlm_accuracy", "lr", "grad_norm", "tokens_per_second"]
    assert [(chart.training, chart.heldout) for chart in found[:2]] == [
        ("mlm", "heldout/mlm"),
        (None, "heldout/mlm_accuracy"),
    ]
    assert [chart.main for chart in found] == [True, True, False, False, False]


def test_a_chart_has_a_line_for_training_and_one_for_held_out_figures_of_each_run(tmp_path: Path):
    runs = read_all([write_run(tmp_path / "a", falling()), write_run(tmp_path / "b", falling(4))])
    found = curves(charts(runs)[0], runs, STEPS)
    assert [(curve.run, curve.heldout, len(curve.x)) for curve in found] == [
        (0, False, 30),
        (0, True, 6),
        (1, False, 4),
    ]
    assert [curve.smooth is not None for curve in found] == [True, False, False]


def test_the_moving_average_weights_by_steps():
    """30 values 10 steps apart: the constant is a tenth of the steps until 2 % of 300, which is 6, is less."""
    values = [float(i % 3) for i in range(30)]
    smooth = ema(Series([10 * i for i in range(1, 31)], values))
    assert smooth is not None
    mean = values[0]
    for i, value in enumerate(values[1:], 2):
        keep = math.exp(-10 / min(6.0, i))
        mean = keep * mean + (1 - keep) * value
    assert smooth[-1] == pytest.approx(mean)
    assert smooth[0] == values[0]


def test_the_moving_average_does_not_mix_stages():
    series = Series(list(range(1, 101)), [9.0] * 50 + [1.0] * 50)
    smooth = ema(series, [50])
    assert smooth is not None
    assert np.allclose(smooth, series.values)
    mixed = ema(series)
    assert mixed is not None
    assert 1.0 < mixed[50] < 9.0


def test_stages_begin_where_their_shares_add_up_to(tmp_path: Path):
    path = write_run(tmp_path / "a", [])
    recipe = (path / "recipe.yaml").read_text()
    shares = "  stages: [{share: 0.25}, {share: 0.5}, {share: 0.25}]\n"
    (path / "recipe.yaml").write_text(recipe.replace("  steps: 100\n", "  steps: 100\n" + shares))
    assert read(path, "a").stages == [25, 75]
