import io
import logging
from pathlib import Path

import pytest
from folders import falling, write_run

pytest.importorskip("matplotlib")

import matplotlib.image
import numpy as np

from nlptool.report.curves import AXES, charts, curves
from nlptool.report.drawing import HEIGHT, WIDTH, Style, draw, png, styled, svg
from nlptool.report.fonts import fonts_for
from nlptool.report.marks import Marks
from nlptool.report.runs import read_all
from nlptool.report.scales import apart, decade, log_steps


def test_labels_keep_their_places_where_there_is_room():
    assert apart([0.0, 2.0, 5.0]) == [0.0, 2.0, 5.0]


def test_labels_that_would_touch_move_apart_about_their_middle():
    assert apart([1.0, 1.0]) == [0.5, 1.5]
    assert apart([1.0, 1.5, 5.0]) == [0.75, 1.75, 5.0]
    assert apart([0.0, 0.0, 0.0, 1.0]) == pytest.approx([-1.25, -0.25, 0.75, 1.75])


def test_a_chart_is_a_picture_of_its_size(tmp_path: Path):
    runs = read_all([write_run(tmp_path / "a", falling())])
    look = Style.of(["a"])
    figure = draw(charts(runs)[0], curves(charts(runs)[0], runs, AXES[0]), AXES[0], look)
    pixels = matplotlib.image.imread(io.BytesIO(png(figure, look)))
    assert pixels.shape[:2] == (round(200 * HEIGHT), round(200 * WIDTH))
    assert 0.01 < (pixels[:, :, :3] < 0.9).any(axis=2).mean() < 0.2


def test_a_chart_of_bars_is_as_high_as_they_are_many(tmp_path: Path):
    def height(number: int) -> float:
        runs = read_all(
            [write_run(tmp_path / f"{number}-{one}", [{"step": 1, "mlm": 6.0}]) for one in range(number)]
        )
        chart = charts(runs)[0]
        return draw(chart, curves(chart, runs, AXES[0]), AXES[0], Style.of("abc"[:number])).get_figheight()

    one, two, three = map(height, (1, 2, 3))
    assert one < 1.6
    assert three - one == pytest.approx(2 * (two - one))


def test_steps_are_whole_numbers_and_seconds_need_not_be(tmp_path: Path):
    lines = [{"step": step, "mlm": 6.0, "seconds": step} for step in (1, 2)]
    runs = read_all([write_run(tmp_path / "a", lines)])
    for axis, expected in ((AXES[0], True), (AXES[3], False)):
        figure = draw(charts(runs)[0], curves(charts(runs)[0], runs, axis), axis, Style.of("a"))
        (plot,) = figure.axes
        assert all(place == int(place) for place in plot.get_xticks()) is expected


def test_the_names_of_many_runs_stand_beside_their_plot(tmp_path: Path):
    lines = [{"step": step, "lr": 1e-9 * step} for step in (1, 2)]
    runs = read_all([write_run(tmp_path / f"run-{number:02}", lines) for number in range(30)])
    figure = draw(charts(runs)[0], curves(charts(runs)[0], runs, AXES[0]), AXES[0], Style.of(["a"] * 30))
    (plot,) = figure.axes
    heights = sorted(text.get_position()[1] for text in plot.texts)
    assert 0 <= heights[0] < heights[-1] <= 1
    assert figure.get_figheight() > HEIGHT


def test_the_baseline_of_a_score_is_in_sight_and_that_of_a_loss_where_it_is_near(tmp_path: Path):
    lines = [{"step": step, "heldout/mlm": 7 - step / 9, "heldout/mlm_accuracy": 0.2} for step in (1, 9)]
    runs = read_all([write_run(tmp_path / "a", lines)])

    def shows(name: str, level: float) -> bool:
        (chart,) = [chart for chart in charts(runs) if chart.metric.key == name]
        marked = Marks((), level, "baseline")
        figure = draw(chart, curves(chart, runs, AXES[0]), AXES[0], Style.of(["a"]), marked=marked)
        low, high = figure.axes[0].get_ylim()
        return bool(low < level < high)

    assert shows("mlm_accuracy", 0.9)
    assert shows("mlm", 5.5)
    assert not shows("mlm", 1.5)


def test_a_name_stays_text_in_a_page_and_is_drawn_in_a_file(tmp_path: Path):
    runs = read_all([write_run(tmp_path / "demo-run", falling())])
    look = Style.of(["demo-run"])
    figure = draw(charts(runs)[0], curves(charts(runs)[0], runs, AXES[0]), AXES[0], look)
    assert ">demo-run  " in svg(figure, look, letters=True)
    assert "<text" not in svg(figure, look, letters=False)


def test_the_same_run_is_drawn_to_the_same_bytes(tmp_path: Path):
    runs = read_all([write_run(tmp_path / "a", falling())])
    chart, look = charts(runs)[0], Style.of(["a"])
    drawn = [
        svg(draw(chart, curves(chart, runs, AXES[0]), AXES[0], look), look, letters=False) for _ in range(2)
    ]
    assert drawn[0] == drawn[1]


def test_a_long_name_is_shortened_to_its_ends():
    (name,) = Style.of(["bert-base-with-a-name-that-tells-the-whole-story-v2"]).names
    assert name.startswith("bert-")
    assert name.endswith("-v2")
    assert "…" in name


def test_letters_that_no_font_has_are_told():
    families, missing = fonts_for(["plain", "\U0010ffff"])  # a code that is no letter
    assert families == ["DejaVu Sans"]
    assert missing == "\U0010ffff"


def test_what_matplotlib_remarks_on_fonts_is_not_shown(caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("matplotlib.font_manager")
    with styled(Style.of(["a"])):
        logger.warning("findfont: Failed to find font weight bold")
    assert caplog.records == []
    logger.warning("outside of a chart")
    assert len(caplog.records) == 1


def test_hangul_is_drawn_where_a_font_of_this_machine_has_it():
    families, missing = fonts_for(["말뭉치"])
    if missing:
        pytest.skip("no font with Hangul on this machine")
    assert len(families) > 1
    assert not any(family.startswith("Last Resort") for family in families)


def test_runs_of_one_point_each_are_bars_from_zero(tmp_path: Path):
    lines = [{"step": 1, "tokens": 5, "seconds": 1.0, "flops": 1e9, "mlm": 6.0}]
    runs = read_all([write_run(tmp_path / name, lines) for name in ("a", "b")])
    (chart,) = charts(runs)
    figure = draw(chart, curves(chart, runs, AXES[0]), AXES[0], Style.of(["a", "b"]))
    (plot,) = figure.axes
    assert [bar.get_width() for bar in plot.patches] == [6.0, 6.0]
    assert plot.get_xlim()[0] == 0
    assert [label.get_text() for label in plot.get_yticklabels()] == ["a", "b"]


def test_a_logarithmic_axis_spans_a_factor_of_ten_at_least():
    for values in ([109.0, 110.4], [5.0], [1.0, 1e6]):
        low, high = decade(np.array(values))
        assert low < min(values) <= max(values) < high
        assert high / low >= 10 - 1e-9


def test_numbers_of_a_logarithmic_axis_have_room_beside_each_other():
    assert log_steps(1, 12) == (1, 2, 5)
    assert log_steps(600, 8_000) == (1, 2, 5)
    assert log_steps(4_000, 700_000) == (1,)
    assert log_steps(0.01, 100) == (1,)


def test_a_chart_whose_runs_have_no_figures_on_an_axis_says_so(tmp_path: Path):
    """A run of one step has no FLOPs yet; beside one that has, there is an axis of FLOPs."""
    lines = [{"step": 1, "rtd": 1.0}, {"step": 1, "heldout/rtd": 1.0}]
    runs = read_all([write_run(tmp_path / "a", lines), write_run(tmp_path / "b", falling())])
    (chart,) = [chart for chart in charts(runs) if chart.name == "rtd"]
    flops = AXES[2]
    for log in (False, True):
        figure = draw(chart, curves(chart, runs, flops), flops, Style.of(["a", "b"]), log=log)
        assert "no run that has this recorded its flops" in [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("log", [False, True])
def test_a_single_point_beside_a_line_is_seen(tmp_path: Path, log: bool):
    runs = read_all(
        [write_run(tmp_path / "a", [{"step": 1, "lr": 0.5}]), write_run(tmp_path / "b", falling())]
    )
    (chart,) = [chart for chart in charts(runs) if chart.name == "lr"]
    figure = draw(chart, curves(chart, runs, AXES[0]), AXES[0], Style.of(["a", "b"]), log=log)
    points = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert "o" in [line.get_marker() for line in points]


def test_a_chart_over_another_is_as_on_a_new_figure(tmp_path: Path):
    """From lines to lines, to bars and back; linear and logarithmic; with more ticks and fewer."""
    one = {"step": 1, "seconds": 1.0, "mlm": 6.0}
    several = read_all([write_run(tmp_path / "a", falling()), write_run(tmp_path / "b", falling(12))])
    single = read_all([write_run(tmp_path / name, [one]) for name in ("c", "d")])
    look, figure = Style.of(["a", "b"]), None
    for runs in (several, single, several):
        for chart in charts(runs)[:1]:
            for axis, log in ((AXES[0], False), (AXES[3], True), (AXES[3], False)):
                drawn = curves(chart, runs, axis)
                figure = draw(chart, drawn, axis, look, log=log, over=figure)
                new = draw(chart, drawn, axis, look, log=log)
                assert svg(figure, look, letters=True) == svg(new, look, letters=True)
