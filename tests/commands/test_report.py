import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.report import runs, tables


def test_a_run_is_reported_with_its_costs_and_figures(tiny_run: Path, tmp_path: Path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["report", str(tiny_run), "--out", str(tmp_path / "report"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (run,) = told["runs"]
    assert (run["finished"], run["step"], run["steps"], run["tokens"]) == (True, 12, 12, 12 * 8 * 32)
    assert run["parameters"] == parameters(tiny_run)
    assert run["flops"] > 2 * 3 * run["tokens"] * 12 * 16**2, "a whole layer of width 16, three passes"
    assert 0 <= run["heldout"]["mlm_accuracy"] <= 1
    assert told["page"] == str(tmp_path / "report" / "index.html")
    assert {Path(name).name for name in told["pictures"]} | {"index.html"} == {
        path.name for path in (tmp_path / "report").iterdir()
    }
    assert {"mlm-steps.svg", "mlm-steps.png", "mlm_accuracy-time.svg", "lr-steps.svg"} <= {
        Path(n).name for n in told["pictures"]
    }


def parameters(run: Path) -> int:
    from safetensors.torch import load_file

    state = load_file(run / "checkpoints" / "step-00000012" / "model.safetensors")
    return sum(tensor.numel() for tensor in state.values())


def test_the_costs_stand_in_the_log(tiny_run: Path):
    lines = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    assert len([line for line in lines if "parameters" in line]) == 1
    spent = {line["step"]: line["flops"] for line in lines if "flops" in line}
    assert len(spent) > 1
    assert len({round(flops / step) for step, flops in spent.items()}) == 1


def test_runs_are_compared_on_the_screen(tiny_run: Path, tmp_path: Path, capsys):
    pytest.importorskip("matplotlib")
    other = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    recipe = (other / "recipe.yaml").read_text()
    (other / "recipe.yaml").write_text(recipe.replace("lr: 0.001", "lr: 0.002"))
    assert main(["report", str(tiny_run), str(other), "--out", str(tmp_path / "report")]) == 0
    shown = capsys.readouterr().out
    assert "finished, 12 steps" in shown
    assert "train.lr  0.001  0.002" in " ".join(shown.split()).replace(" 0", "  0")
    assert str(tmp_path / "report" / "index.html") in shown


def test_a_run_without_figures_has_a_page(tiny_run: Path, tmp_path: Path, capsys):
    pytest.importorskip("matplotlib")
    empty = Path(shutil.copytree(tiny_run, tmp_path / "empty"))
    (empty / "metrics.jsonl").write_text("")
    assert main(["report", str(empty), "--out", str(tmp_path / "report")]) == 0
    assert "no figures yet" in capsys.readouterr().out
    assert "No figures yet" in (tmp_path / "report" / "index.html").read_text()


def test_a_folder_that_is_no_run_is_a_usage_error_and_nothing_is_written(
    tiny_store: Path, tmp_path: Path, capsys
):
    assert main(["report", str(tiny_store), "--out", str(tmp_path / "report")]) == 2
    assert "tokens: is not a run folder (no recipe.yaml): that is a token store" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_a_report_is_not_overwritten_unasked(tiny_run: Path, tmp_path: Path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert main(["report", str(tiny_run), "--out", str(tmp_path)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_without_matplotlib_it_is_said_what_to_install(tiny_run: Path, tmp_path: Path, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    assert main(["report", str(tiny_run), "--out", str(tmp_path / "report")]) == 2
    assert "pip install 'matplotlib>=" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_a_folder_of_several_runs_is_all_of_them_and_each_has_the_figures_of_its_best_step(
    tiny_run: Path, tmp_path: Path
):
    several = tmp_path / "several"
    for seed in (0, 1):
        shutil.copytree(tiny_run, several / f"seed-{seed}")
    (several / "seed-1" / "scores.json").write_text('{"step": 6}')
    last, best = map(tables.facts, runs.read_all([several]))
    assert (last["name"], best["name"]) == ("several/seed-0", "several/seed-1")
    lines = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["heldout/mlm"] for line in lines if "heldout/mlm" in line}
    assert last["heldout"]["mlm"] == losses[max(losses)]
    assert best["heldout"]["mlm"] == losses[6] != losses[max(losses)]


def test_the_runs_of_a_grid_are_reported(tmp_path: Path):
    for point in ("lr=0.1", "lr=0.2"):
        (tmp_path / "grid" / point / "seed-0").mkdir(parents=True)
        (tmp_path / "grid" / point / "seed-0" / "metrics.jsonl").touch()
    assert [str(run.relative_to(tmp_path / "grid")) for run in runs.inside(tmp_path)] == [
        "lr=0.1/seed-0",
        "lr=0.2/seed-0",
    ]


def test_diff_prints_what_differs_and_writes_nothing(tiny_run: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    other = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    recipe = (other / "recipe.yaml").read_text()
    (other / "recipe.yaml").write_text(recipe.replace("lr: 0.001", "lr: 0.002"))
    facts = json.loads((other / "environment.json").read_text())
    facts["packages"]["torch"], facts["models"] = "9.9", {"tokens": "0" * 64}
    (other / "environment.json").write_text(json.dumps(facts))
    assert main(["report", str(tiny_run), str(other), "--diff", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipe"] == {"train.lr": ["0.001", "0.002"]}
    assert set(told["environment"]) == {"torch", "digest of tokens"}
    assert told["environment"]["digest of tokens"][1] == "0" * 12
    assert [run["name"] for run in told["runs"]] == [tiny_run.name, "other"]
    assert main(["report", str(tiny_run), str(other), "--diff"]) == 0
    shown = capsys.readouterr().out
    assert "9.9" in shown
    assert "finished, 12 steps" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_diff_takes_two_runs(tiny_run: Path, capsys):
    assert main(["report", str(tiny_run), "--diff"]) == 2
    assert "compares two runs or more, and this is one" in capsys.readouterr().err
