import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nlptool.cli import main
from nlptool.commands.plan import pretrain
from nlptool.commands.pretrain import needs
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.models import layers
from nlptool.recipe import load
from nlptool.runs.machine import DeviceInfo
from nlptool.train import estimate
from nlptool.train.estimate import Estimate, MemoryFit, memory_fit

BIG = DeviceInfo("test", 10**12, 0, 10**12)


def told(recipe: Path, capsys, *arguments: str) -> dict:
    assert main(["plan", str(recipe), "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def plan_of(recipe: Path, *changes: str) -> PretrainSetup:
    return PretrainSetup(load(recipe, changes, Recipe).recipe)


def test_parameters_of_the_parts_are_those_of_the_formula(tiny_recipe: Path, tiny_store: Path, capsys):
    """Two layers of width 16: each 12 * 16^2 weights and 13 * 16 biases and norms."""
    found = told(tiny_recipe, capsys, "--no-probe")
    vocabulary = json.loads((tiny_store / "store.json").read_text())["vocab_size"]
    assert found["parameters"]["parts"] == {
        "backbone.embeddings": (vocabulary + 64 + 2 + 2) * 16,
        "backbone.layers": 2 * (12 * 16**2 + 13 * 16),
        "mlm": 16 * 16 + 3 * 16 + vocabulary,
    }
    assert found["parameters"]["total"] == sum(found["parameters"]["parts"].values())


def test_memory_is_told_by_kind(tiny_recipe: Path, tiny_store: Path, capsys):
    found = told(tiny_recipe, capsys, "--no-probe")
    memory, parameters = found["memory"], found["parameters"]["total"]
    vocabulary = json.loads((tiny_store / "store.json").read_text())["vocab_size"]
    assert (memory["weights"], memory["gradients"], memory["optimizer"]) == tuple(
        4 * parameters * n for n in (1, 1, 2)
    )
    kinds = ("weights", "gradients", "optimizer", "activations", "logits")
    assert memory["total"] == sum(memory[kind] for kind in kinds)
    # 15 % of 32 tokens, less [CLS] and [SEP], are at most 5 slots a row.
    assert 0 < memory["logits"] <= 2 * 4 * 8 * 5 * vocabulary


def test_micro_batches_take_less_memory(tiny_recipe: Path, capsys):
    whole = told(tiny_recipe, capsys, "--no-probe")["memory"]
    cut = told(tiny_recipe, capsys, "--no-probe", "train.gradient_accumulation=4")["memory"]
    assert (whole["micro_batch"], cut["micro_batch"]) == (8, 2)
    assert cut["activations"] < 0.5 * whole["activations"]


def test_recomputing_takes_less_memory_and_counts_no_further_operations(tiny_recipe: Path, capsys):
    deep = ("--no-probe", "model.layers=8")
    again = told(tiny_recipe, capsys, *deep, "train.activation_checkpointing=true")
    kept = told(tiny_recipe, capsys, *deep)
    assert again["memory"]["activations"] < 0.5 * kept["memory"]["activations"]
    assert again["flops"] == kept["flops"]


def test_tokens_and_epochs_follow_from_steps(tiny_recipe: Path, capsys):
    found = told(tiny_recipe, capsys, "--no-probe")
    assert (found["steps"], found["tokens"]) == (12, 12 * 8 * 32)
    assert found["epochs"] == pytest.approx(12 * 8 * 32 / found["tokens_per_epoch"])
    assert found["flops"] == pytest.approx(found["tokens"] * found["flops_per_token"])


def test_disk_is_what_a_run_leaves(tiny_recipe: Path, tiny_run: Path, capsys):
    disk = told(tiny_recipe, capsys, "--no-probe")["disk"]
    kept = list((tiny_run / "checkpoints").iterdir())
    size = (kept[0] / "model.safetensors").stat().st_size + (kept[0] / "optimizer.safetensors").stat().st_size
    assert disk["checkpoint"] == pytest.approx(size, rel=0.15), "but for the headers"
    assert disk["checkpoints"] == 3, "two newest and the best"
    assert disk["final"] == pytest.approx((tiny_run / "final" / "model.safetensors").stat().st_size, rel=0.15)
    assert disk["total"] == 3 * disk["checkpoint"] + disk["final"] + disk["store"]


def test_a_probe_measures_time_and_memory_and_writes_nothing(tiny_recipe: Path, tmp_path: Path, capsys):
    before = sorted(tmp_path.rglob("*"))
    found = told(tiny_recipe, capsys)
    assert sorted(tmp_path.rglob("*")) == before
    (probe,) = found["probes"]
    assert (probe["rows"], probe["micro_batch"], probe["steps"]) == (8, 8, 15)
    assert probe["seconds"] > 0
    assert probe["tokens_per_second"] == pytest.approx(8 * 32 / probe["step"])
    assert found["seconds"]["training"] == pytest.approx(12 * probe["seconds"])
    # At 4, 6, 8 and 12 steps, two batches each, a pass of three.
    assert found["seconds"]["evaluation"] == pytest.approx(4 * 2 * probe["seconds"] / 3)


def test_each_stage_is_probed(tiny_recipe: Path, tmp_path: Path, capsys):
    stages = (
        "stages: [{sequence_length: 16, batch_size: 8, share: 0.75}, {sequence_length: 64, "
        "batch_size: 2, share: 0.25}]"
    )
    recipe = tmp_path / "stages.yaml"
    recipe.write_text(tiny_recipe.read_text().replace("batch_size: 8, sequence_length: 32", stages))
    found = told(recipe, capsys, "train.gradient_accumulation=2")
    assert [(p["length"], p["rows"], p["micro_batch"]) for p in found["probes"]] == [(16, 8, 4), (64, 2, 1)]
    first, second = (probe["seconds"] for probe in found["probes"])
    assert found["seconds"]["training"] == pytest.approx(9 * first + 3 * second)


def test_steps_that_take_long_are_probed_with_fewer_sequences(tiny_recipe: Path, monkeypatch, capsys):
    monkeypatch.setattr("nlptool.runs.benchmark.LONGEST", 1e-9)
    monkeypatch.setattr("nlptool.runs.benchmark.QUICK", 0.0)
    (probe,) = told(tiny_recipe, capsys)["probes"]
    assert (probe["rows"], probe["micro_batch"]) == (1, 1)
    assert probe["seconds"] == pytest.approx(8 * probe["step"])


def test_a_budget_of_time_gives_the_steps(tiny_recipe: Path, capsys):
    found = told(tiny_recipe, capsys, "~train.steps", "train.budget=60 s")
    assert found["seconds"]["total"] == 60
    assert found["steps"] == int(60 / found["probes"][0]["seconds"])
    assert told(tiny_recipe, capsys, "~train.steps", "train.budget=60 s", "--no-probe")["steps"] is None


def test_what_fits_is_found_by_the_estimate(tiny_recipe: Path):
    plan = plan_of(tiny_recipe)
    estimates = [plan.estimate]
    row = plan.estimate.activations / 8
    stages = [stage for stage, _ in plan.stages]
    assert memory_fit(stages, estimates, BIG.memory, BIG.taken).fits
    assert memory_fit(stages, estimates, BIG.memory, BIG.taken).accumulate == 1
    tight = DeviceInfo("test", 1000 + plan.estimate.fixed + int(3.5 * row), 1000, 10**12)
    assert memory_fit(stages, estimates, tight.memory, tight.taken) == MemoryFit(
        1000 + plan.estimate.memory, False, 3, 4
    )
    full = DeviceInfo("test", 1000 + plan.estimate.fixed, 1000, 10**12)
    assert memory_fit(stages, estimates, full.memory, full.taken) == MemoryFit(
        1000 + plan.estimate.memory, False, None, None
    )


def test_it_is_said_whether_the_run_fits(tiny_recipe: Path, monkeypatch, capsys):
    assert main(["plan", str(tiny_recipe), "--no-probe"]) == 0
    shown = capsys.readouterr().out
    assert "fits with" in shown
    assert "does not fit" not in shown
    monkeypatch.setattr(pretrain, "device_info", lambda _: DeviceInfo("a small one", 10**4, 0, 10**9))
    assert main(["plan", str(tiny_recipe), "--no-probe"]) == 0
    assert "does not fit, not even one sequence at a time" in capsys.readouterr().out


def test_no_step_is_taken_of_a_model_that_is_larger_than_the_machine(tiny_recipe: Path, monkeypatch, capsys):
    monkeypatch.setattr(pretrain, "device_info", lambda _: DeviceInfo("test", 100_000, 0, 10**12))
    monkeypatch.setattr(pretrain, "training_job", lambda *_: pytest.fail("a model is made"))
    assert main(["plan", str(tiny_recipe), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["probes"] is None
    assert "no time estimate: weights, gradients and moments alone take 212 kB of 100 kB" in shown.err


def test_an_error_is_that_of_the_command_that_the_recipe_belongs_to(
    tiny_recipe: Path, tmp_path: Path, capsys
):
    assert main(["plan", str(tiny_recipe), "train.warmupp=3"]) == 2
    assert "did you mean warmup?" in capsys.readouterr().err
    assert main(["plan", str(tiny_recipe), f"store={tmp_path}"]) == 2
    assert "no token store" in capsys.readouterr().err
    assert main(["plan", "demo/tokenize"]) == 2


def test_a_recipe_for_a_gpu_can_be_planned_without_one(tiny_recipe: Path, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert main(["plan", str(tiny_recipe), "train.precision=bf16", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["probes"] is None
    assert "bf16 needs a GPU" in shown.err


@pytest.fixture
def tuning(tiny_run: Path, tmp_path: Path) -> Path:
    """A recipe of fine-tuning: 60 rows, 20 to score on."""
    words = ["river", "town", "bell", "stone"]
    (tmp_path / "rows").mkdir()
    for split, number in (("train", 60), ("validation", 20)):
        made = [{"text": " ".join(words[: 1 + n % 4]), "kind": n % 2} for n in range(number)]
        (tmp_path / "rows" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, made)))
    (tmp_path / "tune.yaml").write_text(
        "task: {name: classification, inputs: [text], label: kind, labels: [odd, even], metrics: [accuracy]}\n"
        f"data: {tmp_path}/rows\ninit_from: {tiny_run}/final\nseeds: 2\n"
        f"train: {{epochs: 3, batch_size: 8, sequence_length: 32}}\nout: {tmp_path}/tuned\n"
    )
    return tmp_path / "tune.yaml"


def test_fine_tuning_is_planned_by_its_rows_and_timed_by_some_steps(tuning: Path, capsys):
    found = told(tuning, capsys)
    assert found["rows"] == {"train": 60, "validation": 20}
    assert found["steps"] == 23, "3 times 60 rows, 8 a step"
    assert found["seeds"] == 2
    assert found["probe"]["steps"] == 15
    assert found["probe"]["tokens_per_second"] > 0
    seconds = found["seconds"]
    assert seconds["total"] == pytest.approx(2 * (seconds["training"] + seconds["evaluation"]))
    assert not (tuning.parent / "tuned").exists()
    assert main(["plan", str(tuning), "--no-probe"]) == 0
    shown = capsys.readouterr().out
    assert "train 60, validation 20" in shown
    assert "tokens/s" not in shown


def test_memory_of_fine_tuning_is_that_of_its_longest_rows(tuning: Path, capsys):
    short = told(tuning, capsys, "--no-probe")["memory"]
    rows = tuning.parent / "rows" / "train.jsonl"
    rows.write_text(rows.read_text() + "\n" + json.dumps({"text": "river " * 30, "kind": 0}))
    assert told(tuning, capsys, "--no-probe")["memory"] > short


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        ("prompt/one", "prompt"),
        ("demo/tokenize", "tokenize"),
        ("demo/corpus", "corpus"),
        ("demo/knowledge", "knowledge"),
        ("distill/thin-task", "distill-task"),
    ],
)
def test_a_recipe_that_is_not_planned_names_its_command(recipe: str, command: str, capsys):
    assert main(["plan", recipe]) == 2
    assert f"nlptool {command} {recipe} --dry-run" in capsys.readouterr().err


def test_the_kind_of_a_recipe_is_that_of_what_it_extends(tmp_path: Path, capsys):
    (tmp_path / "mine.yaml").write_text("extends: distill/thin-task\nseeds: 1\n")
    assert main(["plan", str(tmp_path / "mine.yaml")]) == 2
    assert "is a recipe for nlptool distill-task" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([], marks=pytest.mark.slow),
        ["model.name=gpt2", "objective.name=clm"],
        pytest.param(["model.name=albert", "model.embedding_size=8"], marks=pytest.mark.slow),
        pytest.param(["model.name=electra", "objective.name=electra"], marks=pytest.mark.slow),
        pytest.param(["train.precision=bf16", "train.activation_checkpointing=true"], marks=pytest.mark.slow),
    ],
    ids=lambda changes: " ".join(changes) or "bert",
)
def test_what_deep_models_need_follows_from_shallow_ones(
    changes: list[str], tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch
):
    def needed() -> tuple[Estimate, int]:
        setup = PretrainSetup(load(tiny_recipe, ["model.layers=17", *changes], Recipe).recipe)
        return setup.estimate, needs.final_bytes(setup)

    foretold = needed()
    for module in (estimate, needs):
        monkeypatch.setattr(module, "SHALLOW", (97, 98, 99))
    assert needed() == foretold


def test_ten_thousand_layers_are_planned_without_being_made(
    tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch
):
    depths, build = [], layers.Layers.__init__

    def counted(own: layers.Layers, *given: Any, **named: Any) -> None:
        build(own, *given, **named)
        depths.append(own.depth)

    monkeypatch.setattr(layers.Layers, "__init__", counted)
    assert main(["pretrain-mlm", str(tiny_recipe), "model.layers=10000", "--dry-run", "--json"]) == 0
    needs.final_bytes(PretrainSetup(load(tiny_recipe, ["model.layers=10000"], Recipe).recipe))
    assert max(depths) == max(estimate.SHALLOW)
