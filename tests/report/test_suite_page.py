"""The page of a suite, from the output of `evaluate --suite`."""

import json
from pathlib import Path
from typing import Any

import pytest

from nlptool.cli import main
from nlptool.report import suite_page

pytest.importorskip("matplotlib")


def task(name: str, value: float, std: float = 0.0, *, excluded: bool = False) -> dict[str, Any]:
    figures = {"accuracy": {"value": value, "std": std, "baseline": 0.5}}
    return {
        "task": name,
        "seeds": 2,
        "baseline_name": "majority",
        "splits": ["validation"],
        "score": ["accuracy"],
        "excluded": excluded,
        "figures": figures,
    }


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "모음 <b>"
    (folder / "suite").mkdir(parents=True)
    found = [
        {"model": "runs/one/final", "suite": [task("a/x", 0.6, 0.02), task("a/y", 0.8)]},
        {"model": "runs/둘/final", "suite": [task("a/x", 0.7), task("a/y", 0.7)]},
        {"model": "runs/none/final", "suite": []},
    ]
    (folder / "evaluate.json").write_text(json.dumps(found), encoding="utf8")
    return folder


def test_each_task_and_the_mean_have_a_bar_for_each_model(suite: Path):
    shown = suite_page.charts(suite_page.read(suite))
    assert [one.chart.metric.heading for one in shown] == [
        "a/x: accuracy (%)",
        "a/y: accuracy (%)",
        "mean of the suite (%)",
    ]
    assert [[(c.run, c.y[0]) for c in one.curves] for one in shown[:2]] == [
        [(0, 0.6), (1, 0.7)],
        [(0, 0.8), (1, 0.7)],
    ]
    assert [curve.y[0] for curve in shown[2].curves] == pytest.approx([0.7, 0.7])
    low, high = shown[0].curves[0].band
    assert (low[0], high[0]) == pytest.approx((0.58, 0.62))
    assert [one.marks.level for one in shown] == [0.5, 0.5, None]


def test_the_page_is_written_beside_its_charts(suite: Path, tmp_path: Path, capsys):
    assert main(["report", str(suite), "--out", str(tmp_path / "r"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["suite"]) == ["one", "둘", "none"]
    assert len(told["pictures"]) == 6
    page = Path(told["page"]).read_text("utf8")
    assert page.count("<svg") == 3
    assert "모음 &lt;b&gt;" in page
    assert "60.0\u00a0±\u00a02.0" in page


def test_a_damaged_file_is_named(suite: Path, tmp_path: Path, capsys):
    (suite / "evaluate.json").write_text('[{"model": 1}]')
    assert main(["report", str(suite), "--out", str(tmp_path / "r")]) == 3
    assert "evaluate.json" in capsys.readouterr().err
