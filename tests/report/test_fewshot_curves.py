"""Few-shot curves of prompt runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from nlptool.cli import main
from nlptool.report import fewshot

pytest.importorskip("matplotlib")


def record(model: str, parameters: int, shots: int, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "parameters": parameters,
        "task": "blimp",
        "num_fewshot": shots,
        "questions": 100,
        "scores": {"accuracy": {"value": value, "error": 0.02}},
        "baselines": {"chance": 0.5},
        **more,
    }


def run(path: Path, records: list[dict[str, Any]]) -> Path:
    """A folder as prompt leaves it."""
    (path / "answers").mkdir(parents=True)
    (path / "results.json").write_text(json.dumps(records))
    return path


TWO = [
    record(name, size, shots, 0.5 + size / 100 + shots / 50)
    for name, size in (("작은", 5), ("big", 20))
    for shots in (0, 4)
]


def test_a_model_is_a_line_against_examples_and_a_number_of_examples_one_against_size(tmp_path: Path):
    (chart,) = fewshot.charts(fewshot.read([run(tmp_path / "p", TWO)]))
    curves, names = chart.curves(fewshot.SHOTS)
    assert names == ["작은", "big"]
    assert [curve.x.tolist() for curve in curves] == [[0, 4], [0, 4]]
    assert curves[1].y.tolist() == pytest.approx([0.7, 0.78])
    low, high = curves[1].band
    assert (high - low).tolist() == pytest.approx([2 * 1.96 * 0.02] * 2)
    curves, names = chart.curves(fewshot.SIZE)
    assert names == ["0 shots", "4 shots"]
    assert [curve.x.tolist() for curve in curves] == [[5, 20], [5, 20]]
    assert (chart.marks.level, chart.marks.name) == (0.5, "chance")


def test_the_page_and_its_charts_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = run(tmp_path / "프롬프트 <b>", TWO)
    assert main(["report", str(folder), "--out", str(tmp_path / "r"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sorted(Path(name).name for name in told["pictures"]) == [
        f"blimp-{axis}.{suffix}" for axis in ("parameters", "shots") for suffix in ("png", "svg")
    ]
    page = Path(told["page"]).read_text("utf8")
    assert "프롬프트 &lt;b&gt;" in page
    for axis in ("shots", "parameters"):
        assert page.count('svg viewBox="0 0') == 4
        assert f'data-x="{axis}" data-scale="log"' in page
    assert "<b>" not in page
    assert "58.0\u00a0±" not in page
    assert "55.0\u00a0±\u00a02.0" in page


def test_one_model_and_one_number_of_examples_are_a_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = run(tmp_path / "p", [record("m", 5, 0, 0.6)])
    assert main(["report", str(folder), "--out", str(tmp_path / "r")]) == 0
    assert (tmp_path / "r" / "blimp-shots.png").is_file()
    assert "60.0 ± 2.0" in capsys.readouterr().out


def test_a_metric_without_a_value_or_an_error_breaks_nothing(tmp_path: Path):
    rows = [record("m", 5, 0, None), record("m", 5, 1, 0.6)]
    rows[1]["scores"]["accuracy"]["error"] = None
    (chart,) = fewshot.charts(rows)
    (curve,), _ = chart.curves(fewshot.SHOTS)
    assert curve.band is None
    assert curve.y.tolist() == [0.6]
    assert fewshot.charts([record("m", 5, 0, None)]) == []
    assert main(["report", str(run(tmp_path / "p", rows[:1])), "--out", str(tmp_path / "r")]) == 0


def test_models_of_like_names_are_told_apart_by_their_runs(tmp_path: Path):
    one, other = run(tmp_path / "a", TWO), run(tmp_path / "b", TWO)
    assert {one["model"] for one in fewshot.read([one, other])} == {"a: 작은", "a: big", "b: 작은", "b: big"}


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 2, "has no results yet"),
        ("[", 3, "results.json"),
        ("[1]", 3, "0 is a number, not an object"),
        ("{}", 3, "results.json"),
    ],
)
def test_a_run_without_results_is_one_line(
    content: str | None, code: int, message: str, tmp_path: Path, capsys
):
    folder = run(tmp_path / "p", [])
    (folder / "results.json").unlink()
    if content is not None:
        (folder / "results.json").write_text(content)
    assert main(["report", str(folder), "--out", str(tmp_path / "r")]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert not (tmp_path / "r").exists()


def test_training_and_prompt_runs_are_reported_apart(tmp_path: Path, capsys):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "metrics.jsonl").write_text("")
    assert (
        main(["report", str(run(tmp_path / "p", TWO)), str(tmp_path / "t"), "--out", str(tmp_path / "r")])
        == 2
    )
    assert "no run of prompt" in capsys.readouterr().err
