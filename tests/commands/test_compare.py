"""Several recipes on the same tokens and budget, from the command line."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from nlptool.cli import main
from nlptool.errors import RecipeError
from nlptool.evaluation.metrics.confidence import Proportion
from nlptool.metric_table import describe
from nlptool.recipe import Budget
from nlptool.report import comparison_charts, verdict
from nlptool.train import budget

PAIRS = [("the river", "river the"), ("a bell.", "bell a."), ("the old town", "old the town")]


@pytest.fixture
def two(tiny_recipe: Path, tmp_path: Path) -> list[str]:
    """Two recipes that differ in their objective."""
    text = tiny_recipe.read_text()
    (tmp_path / "plain.yaml").write_text(text)
    (tmp_path / "pairs.yaml").write_text(text.replace("{name: mlm}", "{name: mlm, next_sentence: true}"))
    folder = tmp_path / "blimp"
    folder.mkdir()
    lines = [json.dumps({"sentence_good": good, "sentence_bad": bad}) for good, bad in PAIRS]
    (folder / "order.jsonl").write_text("\n".join(lines) + "\n")
    return [str(tmp_path / "plain.yaml"), str(tmp_path / "pairs.yaml")]


def test_each_checkpoint_of_each_run_is_scored(two: list[str], tmp_path: Path, capsys) -> None:
    out = ["--out", str(tmp_path / "out"), "--minimal-pairs", str(tmp_path / "blimp")]
    assert main(["compare", *two, *out, "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)
    assert runs == json.loads((tmp_path / "out" / "compare.json").read_text())
    assert [run["run"] for run in runs] == ["plain", "pairs"]
    for run in runs:
        assert [point["step"] for point in run["points"]] == [8, 12]
        last = run["points"][-1]
        assert last["scores"]["minimal pairs"]["of"] == 3
        assert last["tokens"] > run["points"][0]["tokens"]
        assert "mlm" in last["heldout"]
    table = (tmp_path / "out" / "compare.md").read_text().splitlines()
    assert table[3].startswith("| pairs |")
    assert table[5].startswith("* minimal pairs: ")
    assert table[6].startswith("* held-out masked LM loss: ")
    assert table[0].endswith("| minimal pairs | sentence order | next sentence |")
    assert set(runs[1]["points"][0]["scores"]) - set(runs[0]["points"][0]["scores"]) == {
        "sentence order",
        "next sentence",
    }
    assert (tmp_path / "out" / "compare-minimal-pairs.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "compare-mlm.png").exists(), "held-out losses are drawn, pairs or none"
    drawn = ElementTree.parse(tmp_path / "out" / "compare-minimal-pairs.svg")
    assert drawn.getroot().tag.endswith("svg")


def test_what_is_done_is_not_done_again(two: list[str], tmp_path: Path, capsys) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["compare", two[0], *out]) == 0
    trained = (tmp_path / "out" / "plain" / "final" / "model.safetensors").stat().st_mtime_ns
    assert main(["compare", *two, *out]) == 2
    assert "--resume auto" in capsys.readouterr().err
    assert main(["compare", *two, *out, "--resume", "auto"]) == 0
    told = capsys.readouterr()
    assert f"{tmp_path / 'out' / 'plain'}: is finished" in told.err
    assert "since the runs differ in objective.next_sentence: they do not rank the models" in told.out
    assert (tmp_path / "out" / "plain" / "final" / "model.safetensors").stat().st_mtime_ns == trained
    assert (tmp_path / "out" / "pairs" / "final").is_dir()


def test_a_finished_run_is_not_said_to_be_another_recipes(two: list[str], tmp_path: Path, capsys) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["compare", two[0], *out]) == 0
    written = (tmp_path / "out/plain/recipe.yaml").read_text()
    assert main(["compare", two[0], *out, "--resume", "auto", "train.lr=0.7"]) == 2
    assert "train.lr: " in capsys.readouterr().err
    assert main(["compare", two[0], *out, "--resume", "auto", "train.steps=4"]) == 2
    assert "is beyond the 4 steps" in capsys.readouterr().err
    assert (tmp_path / "out/plain/recipe.yaml").read_text() == written
    assert main(["compare", two[0], *out, "--resume", str(tmp_path / "out/plain")]) == 2
    assert "--resume auto" in capsys.readouterr().err


def test_changes_are_made_to_all(two: list[str], tmp_path: Path, capsys) -> None:
    out = ["--out", str(tmp_path / "out"), "--dry-run", "--json"]
    assert main(["compare", *two, "train.steps=5", *out]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["run"], row["steps"]) for row in rows] == [("plain", 5), ("pairs", 5)]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "old", "new"), [("train.budget", "steps: 12", "steps: 13"), ("store", "store: ", "store: /")]
)
def test_runs_that_could_not_be_compared_are_refused(
    two: list[str], tmp_path: Path, key: str, old: str, new: str, capsys
) -> None:
    path = Path(two[1])
    path.write_text(path.read_text().replace(old, new))
    assert main(["compare", *two, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert f"the runs differ in {key}" in told
    assert not (tmp_path / "out").exists()


def test_two_recipes_of_one_name_are_refused(two: list[str], tmp_path: Path, capsys) -> None:
    assert main(["compare", two[0], two[0], "--out", str(tmp_path / "out")]) == 2
    assert "two recipes are called plain" in capsys.readouterr().err


def test_a_folder_without_pairs_is_told_before_anything_is_trained(two: list[str], tmp_path: Path, capsys):
    arguments = ["--out", str(tmp_path / "out"), "--minimal-pairs", str(tmp_path)]
    assert main(["compare", *two, *arguments]) == 3
    assert "holds no file with minimal pairs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


STAGES = (
    "{steps: 12, stages: [{sequence_length: 16, batch_size: 8, share: 0.5}, {sequence_length: "
    "40, batch_size: 4, share: 0.5}], lr: 1e-3}"
)


@pytest.mark.parametrize("objective", ["{name: mlm}", "{name: sop}"])
def test_flops_are_those_of_the_batches_that_were_trained(
    tiny_recipe: Path, tmp_path: Path, objective: str, capsys
) -> None:
    """Of rows with padding, too, and of stages that cost different amounts."""
    from nlptool import flops
    from nlptool.commands.pretrain.recipe import Recipe
    from nlptool.commands.pretrain.setup import PretrainSetup
    from nlptool.recipe import load
    from nlptool.train.distributed import DistributedContext

    path = tmp_path / "staged.yaml"
    lines = [line for line in tiny_recipe.read_text().splitlines() if not line.startswith("train:")]
    text = "\n".join([*lines, f"train: {STAGES}"]).replace("{name: mlm}", objective)
    path.write_text(text)
    assert main(["compare", str(path), "--out", str(tmp_path / "out"), "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)

    plan = PretrainSetup(load(path, [], Recipe).recipe)
    world, model = DistributedContext(0, 1, torch.device("cpu")), plan.objective()
    batches, spent = plan.batches(model, world), []
    for step in range(12):
        with torch.no_grad(), flops.counting() as count:
            model(replace(batches.get(step)[0], compute_padding=True))
        spent.append(flops.STEP * count.operations)
    assert [point["flops"] for point in run["points"]] == [sum(spent[:8]), sum(spent)]
    assert plan.steps * plan.flops_per_step == pytest.approx(sum(spent))


def test_overwrite_trains_again(two: list[str], tmp_path: Path, capsys) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["compare", two[0], *out]) == 0
    assert main(["compare", two[0], "model.hidden=32", *out, "--overwrite", "--json"]) == 0
    assert "is finished" not in capsys.readouterr().err
    config = json.loads((tmp_path / "out" / "plain" / "final" / "config.json").read_text())
    assert config["hidden_size"] == 32


def test_changes_alone_are_no_comparison(capsys) -> None:
    assert main(["compare", "train.steps=3"]) == 2
    assert "no recipe to compare" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (json.dumps({"sentence_good": "river " * 90, "sentence_bad": "x"}), "the model reads 64"),
        ("{}", "order.jsonl:5: no column 'sentence_good'"),
    ],
)
def test_what_is_wrong_with_pairs_is_told_before_anything_is_trained(
    two: list[str], tmp_path: Path, line: str, told: str, capsys
) -> None:
    with (tmp_path / "blimp" / "order.jsonl").open("a") as file:
        file.write(f"\n{line}\n")  # a blank line in between is passed over
    assert (
        main(["compare", *two, "--out", str(tmp_path / "out"), "--minimal-pairs", str(tmp_path / "blimp")])
        == 3
    )
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_that_never_saw_a_mask_is_not_asked_for_minimal_pairs(two: list[str], tmp_path: Path, capsys):
    path = Path(two[0])
    text = path.read_text().replace("name: bert", "name: electra")
    path.write_text(text.replace("{name: mlm}", "{name: electra, loss: replace_mlm}"))
    arguments = ["--out", str(tmp_path / "out"), "--minimal-pairs", str(tmp_path / "blimp"), "--json"]
    assert main(["compare", two[0], *arguments]) == 0
    told = capsys.readouterr()
    assert "minimal pairs are skipped" in told.err
    assert json.loads(told.out)[0]["points"][-1]["scores"] == {}


def test_a_budget_that_whole_steps_do_not_meet_is_refused_and_the_hint_leads_out(
    two: list[str], tmp_path: Path, capsys
):
    for path in map(Path, two):
        path.write_text(path.read_text().replace("steps: 12, batch", "budget: 3e5 flops, batch"))
    arguments = ["compare", *two, "--out", str(tmp_path / "out"), "--dry-run", "--json"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "do not all end within 1 % of 3e5 FLOPs" in told
    assert not (tmp_path / "out").exists()
    (hint,) = re.findall(r"train\.budget='([^']*)'", told)
    assert main([*arguments, f"train.budget={hint}"]) == 0
    spent = [row["flops"] for row in json.loads(capsys.readouterr().out)]
    assert max(spent) / min(spent) < 1.01


def test_the_least_budget_is_met_by_all_and_one_a_little_smaller_is_not():
    steps = [3.1e10, 4.7e10]

    def met(amount: float) -> bool:
        return all(math.ceil(amount / step) * step <= 1.009 * amount for step in steps)

    found = budget.least(steps, 4e9)
    assert met(found)
    assert not any(met(number * 1e8) for number in range(40, 1000) if number * 1e8 < found)


def test_a_budget_of_tokens_is_written_as_people_write_it():
    with pytest.raises(RecipeError) as told:
        budget.require_met(
            Budget.parse("3000 tokens"), {"a": budget.Spent(6, 512), "b": budget.Spent(13, 240)}
        )
    assert "within 1 % of 3,000 tokens:" in str(told.value)
    assert "6 steps of 512 tokens, 3,072 tokens in all" in str(told.value)
    assert "train.budget='3570 tokens'" in told.value.hint


def test_losses_of_different_keys_are_never_in_one_picture():
    def run(name: str, **heldout: float) -> dict:
        return {"run": name, "points": [{"flops": 1e9, "heldout": heldout, "scores": {}}]}

    runs = [
        run("a", mlm=5.0, mlm_accuracy=0.2),
        run("b", generator_mlm=6.0, rtd=0.4, replaced=0.1),
        run("c", mlm=4.0),
    ]
    found = {picture.metric.key: list(picture.points) for picture in comparison_charts._heldout(runs)}
    assert found == {"mlm": [0, 2], "generator_mlm": [1], "rtd": [1], "mlm_accuracy": [0]}


def test_a_picture_of_one_number_is_not_drawn():
    metric = describe("rtd")
    assert not comparison_charts.Picture(metric, {0: [comparison_charts.Point(1e9, 0.4)]}, "").compares
    assert comparison_charts.Picture(
        metric, {0: [comparison_charts.Point(1e9, 0.4)], 1: [comparison_charts.Point(1e9, 0.5)]}, ""
    ).compares
    assert comparison_charts.Picture(
        metric, {0: [comparison_charts.Point(1e9, 0.4), comparison_charts.Point(2e9, 0.3)]}, ""
    ).compares


def test_the_verdict_has_the_interval_of_the_difference():
    """Newcombe 1998, table II: 56 of 70 against 48 of 80 has the interval 0.0524 to 0.3339 by method 10."""

    def run(name: str, right: int, total: int) -> dict:
        low, high = Proportion(right, total).interval
        score = {"value": right / total, "low": low, "high": high}
        return {"run": name, "points": [{"heldout": {"mlm": total / 10}, "scores": {"minimal pairs": score}}]}

    first, second = verdict.verdicts([run("b", 48, 80), run("a", 56, 70)])
    assert first == (
        "minimal pairs: a 80.0 %, b 60.0 %; difference 20.0 points (95 % interval 5.2 to 33.4): a is ahead"
    )
    assert second.startswith("held-out masked LM loss: a 7.000, b 8.000 nats; difference 1.000")
    assert "no difference beyond chance" in verdict.verdicts([run("b", 7, 10), run("a", 8, 10)])[0]
    told = verdict.verdicts([run("b", 48, 80), run("a", 56, 70)], ["objective.ngram"])
    assert told[:2] == [first, second]
    assert "since the runs differ in objective.ngram: they do not rank the models" in told[2]


def test_runs_that_share_no_figure_get_no_verdict():
    def run(name: str, key: str) -> dict:
        return {"run": name, "points": [{"heldout": {key: 1.0}, "scores": {}}]}

    (told,) = verdict.verdicts([run("a", "mlm"), run("b", "generator_mlm")])
    assert told.startswith("no verdict: ")


def test_the_mean_of_a_suite_has_an_interval_over_its_seeds():
    """Two seeds each, deviation 2 points: the error of a mean is 1.414 points, t of 1 degree of freedom 12.706."""

    def run(name: str, value: float, seeds: int) -> dict:
        figures = {"accuracy": {"value": value, "std": 0.02, "baseline": 0.5}}
        task = {"task": "bell", "seeds": seeds, "baseline_name": "majority", "figures": figures}
        suite = [task | {"splits": ["validation"], "score": ["accuracy"], "excluded": False}]
        return {"run": name, "suite": suite, "points": [{"heldout": {}, "scores": {}}]}

    (told,) = verdict.verdicts([run("a", 0.9, 2), run("b", 0.8, 2)])
    half = 100 * 0.02 / 2**0.5 * 12.706 * 2**0.5
    assert f"(95 % interval {10 - half:.1f} to {10 + half:.1f})" in told
    (told,) = verdict.verdicts([run("a", 0.9, 1), run("b", 0.8, 1)])
    assert "one seed each" in told
