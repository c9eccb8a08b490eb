"""`compare --vary --seeds`: a sweep over one recipe, and a table of means over seeds."""

import json
import math
import statistics
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.commands.compare import sweep
from nlptool.errors import UsageError
from nlptool.report import comparison_table, seed_means, verdict


def test_values_are_cut_at_commas_outside_of_brackets_and_quotes():
    (one,) = sweep.read(["train.optimizer.betas=[0.9,0.98],[0.9, 0.999]"])
    assert one == ("train.optimizer.betas", ("[0.9,0.98]", "[0.9, 0.999]"))
    (one,) = sweep.read(["""init_from='a,b', "c,d" """])
    assert one.values == ("'a,b'", '"c,d"')


def test_cells_are_all_combinations_and_are_named_by_their_values():
    cells = list(sweep.cells(sweep.read(["model.share=none,all", "objective.mask_rate=.15,.3"])))
    assert [cell.name for cell in cells] == [
        "share=none,mask_rate=.15",
        "share=none,mask_rate=.3",
        "share=all,mask_rate=.15",
        "share=all,mask_rate=.3",
    ]
    assert cells[1].changes == ["model.share=none", "objective.mask_rate=.3"]
    assert cells[0].folder == cells[0].name


def test_keys_that_end_alike_are_named_in_full_and_folders_are_told_apart():
    one, other, *_ = sweep.cells(sweep.read(["model.name=bert,a/b", "objective.name=a b,a/b"]))
    assert one.name == "model.name=bert,objective.name=a b"
    assert one.folder != other.folder
    assert "/" not in other.folder


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["model.share"], "expected KEY=VALUE,VALUE"),
        (["model.share=none"], "one value is nothing to compare"),
        (["model.share=none,,all"], "a value is empty"),
        (["model.share=none,none"], "none is given twice"),
        (["train.lr=1,2", "train.lr=3,4"], "is given twice"),
        (["train.lr=1,2", "train=3,4"], "holds train.lr"),
        (["train.steps=1,2"], "all runs of a comparison have the same budget"),
        (["store=a,b"], "changes the token store"),
        (["tokenizer.vocab_size=500,600"], "changes the token store"),
        (["seed=1,2"], "seeds cannot be varied"),
        (["out=a,b"], "has its folder"),
    ],
)
def test_what_is_no_sweep_at_an_equal_budget_is_refused(given: list[str], told: str):
    with pytest.raises(UsageError, match=told):
        sweep.read(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--vary", "model.hiden=16,32"], "did you mean hidden"),
        (["--vary", "model.layers=2,two"], "model.layers=two: expected a whole number"),
        (["--vary", "model.init=.02,0.02"], "init=.02 and init=0.02 are the same run"),
        (["--vary", "train.batch_size=4,8"], "the runs differ in train.budget"),
        (["--seeds", "2", "seed=3"], "contradict each other"),
        (["RECIPE", "--vary", "model.layers=1,2"], "--vary varies one recipe; there are 2"),
    ],
)
def test_values_that_do_not_hold_are_told_before_anything_is_trained(
    tiny_recipe: Path, tmp_path: Path, given: list[str], told: str, capsys
):
    given = [str(tiny_recipe) if word == "RECIPE" else word for word in given]
    assert main(["compare", str(tiny_recipe), *given, "--out", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_sweep_trains_each_combination_with_each_seed_and_resumes_with_more(
    tiny_recipe: Path, tmp_path: Path, capsys
):
    out = tmp_path / "out"
    arguments = [
        "compare",
        str(tiny_recipe),
        "train.steps=4",
        "--vary",
        "model.layers=1,2",
        "--out",
        str(out),
    ]
    assert main([*arguments, "--seeds", "1"]) == 0
    capsys.readouterr()
    weights = [out / f"layers={n}" / "seed-0" / "final" / "model.safetensors" for n in (1, 2)]
    trained = [path.stat().st_mtime_ns for path in weights]
    assert main([*arguments, "--seeds", "2", "--resume", "auto"]) == 0
    told = capsys.readouterr()
    assert [path.stat().st_mtime_ns for path in weights] == trained
    assert "seed-0: is finished" in told.err
    assert "run 4 of 4: layers=2, seed 1" in told.err
    assert "means of 2 seeds ± half the 95 % interval" in told.out
    runs = json.loads((out / "compare.json").read_text())
    assert [(run["run"], run["seed"], run["values"]) for run in runs] == [
        ("layers=1", 0, {"model.layers": "1"}),
        ("layers=1", 1, {"model.layers": "1"}),
        ("layers=2", 0, {"model.layers": "2"}),
        ("layers=2", 1, {"model.layers": "2"}),
    ]
    losses = [run["points"][-1]["heldout"]["mlm"] for run in runs]
    assert len(set(losses)) == 4, "another seed is another run"
    half = 12.706 * statistics.stdev(losses[:2]) / math.sqrt(2)
    rows = [
        line for line in (out / "compare.md").read_text().splitlines() if "layers=" in line and "|" in line
    ]
    assert f"| {statistics.fmean(losses[:2]):.3f} ± {half:.3f} |" in rows[0]
    assert len([line for line in rows if line.startswith("| layers=")]) == 2
    assert (out / "compare-mlm.svg").exists()


def test_the_interval_of_seeds_is_students():
    """Of 1, 2, 3: standard error 1 / sqrt(3), and t of two degrees of freedom 4.303."""
    found = seed_means.Interval.of([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx(4.303 / math.sqrt(3))


def run(name: str, seed: int, loss: float) -> dict:
    point = {"step": 4, "tokens": 8, "flops": 1e9, "seconds": 1.0, "heldout": {"mlm": loss}, "scores": {}}
    return {"run": name, "seed": seed, "parameters": 10, "points": [point]}


def test_the_verdict_on_losses_has_an_interval_where_seeds_tell_one():
    losses = {"a": (5.0, 5.1, 5.2), "b": (6.0, 6.1, 6.2)}
    runs = seed_means.merged([run(name, seed, x) for name, xs in losses.items() for seed, x in enumerate(xs)])
    half = math.sqrt(2) * 4.303 * 0.1 / math.sqrt(3)
    (told,) = verdict.verdicts(runs)
    assert told == (
        "held-out masked LM loss: a 5.100, b 6.100 nats; difference 1.000 "
        f"(95 % interval {1 - half:.3f} to {1 + half:.3f}): a is ahead"
    )
    assert comparison_table.table(runs)[1][0][-1] == f"5.100 ± {half / math.sqrt(2):.3f}"


def test_a_run_with_one_seed_has_no_interval():
    (one,) = seed_means.merged([run("a", 0, 5.0)])
    assert one["seeds"] == 1
    assert comparison_table.table([one])[1][0][-1] == "5.000"
    assert seed_means.caption([one]) == ""


def test_a_sweep_over_what_is_asked_says_that_losses_do_not_compare():
    assert "objective.mask_rate" in str(sweep.remark(sweep.read(["objective.mask_rate=.15,.3"])))
    assert sweep.remark(sweep.read(["model.share=none,all"])) is None
