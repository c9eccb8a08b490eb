import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nlptool.cli import main

CHECKPOINTS = "checkpoints/step-"


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "final" / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def train(recipe: Path, *arguments: str) -> int:
    return main(["pretrain-mlm", str(recipe), *arguments])


def logged(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def finished(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, to be changed."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_a_run_folder_tells_what_was_run(finished: Path):
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "recipe.yaml", "command.txt", "environment.json", "run.json", "metrics.jsonl", "checkpoints", "final",
    }  # fmt: skip
    assert "mask_rate: 0.15" in (finished / "recipe.yaml").read_text()
    assert json.loads((finished / "environment.json").read_text())["packages"]["torch"]
    assert [path.name for path in sorted((finished / "checkpoints").iterdir())] == [
        "step-00000008",
        "step-00000012",
    ]


def test_figures_are_logged_by_step(finished: Path):
    training = [line for line in logged(finished) if "mlm" in line]
    heldout = [line for line in logged(finished) if "heldout/mlm" in line]
    assert training[-1]["step"] == 12
    assert training[-1]["tokens"] == 12 * 8 * 32
    assert {line["step"] for line in heldout} == {4, 6, 8, 12}
    assert all(0 <= line["heldout/mlm_accuracy"] <= 1 for line in heldout)


def test_transformers_loads_the_result_with_its_tokenizer(finished: Path):
    transformers = pytest.importorskip("transformers")
    model, report = transformers.AutoModelForMaskedLM.from_pretrained(
        finished / "final", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(finished / "final")
    inputs = tokenizer("the old [MASK] under the river", return_tensors="pt")
    assert model(**inputs).logits.shape[-1] == len(tokenizer)
    assert tokenizer.model_max_length == 64


def test_the_same_recipe_gives_the_same_bits(finished: Path, tiny_recipe: Path, tmp_path: Path):
    assert train(tiny_recipe, "--out", str(tmp_path / "again")) == 0
    assert same(weights(finished), weights(tmp_path / "again"))


def test_another_seed_gives_another_model(finished: Path, tiny_recipe: Path, tmp_path: Path):
    assert train(tiny_recipe, "seed=8", "--out", str(tmp_path / "again")) == 0
    assert not same(weights(finished), weights(tmp_path / "again"))


def test_accumulation_does_not_change_the_result_much(tiny_recipe: Path, tmp_path: Path):
    plain = ["model.dropout=0", "model.attention_dropout=0"]
    assert train(tiny_recipe, *plain) == 0
    assert train(tiny_recipe, *plain, "train.gradient_accumulation=4", "--out", str(tmp_path / "cut")) == 0
    for name, tensor in weights(tmp_path / "run").items():
        torch.testing.assert_close(tensor, weights(tmp_path / "cut")[name], rtol=1e-3, atol=1e-5)


def test_activation_checkpointing_changes_nothing(finished: Path, tiny_recipe: Path, tmp_path: Path):
    assert train(tiny_recipe, "train.activation_checkpointing=true", "--out", str(tmp_path / "again")) == 0
    for name, tensor in weights(finished).items():
        torch.testing.assert_close(tensor, weights(tmp_path / "again")[name], rtol=1e-4, atol=1e-6)


def test_a_run_that_lost_its_last_checkpoint_ends_the_same(finished: Path, tiny_recipe: Path, capsys):
    before = weights(finished)
    last = finished / "checkpoints" / "step-00000012" / "model.safetensors"
    last.write_bytes(last.read_bytes()[:-1])
    assert train(tiny_recipe, "--resume", "auto") == 0
    assert same(before, weights(finished))
    told = capsys.readouterr().err
    assert "skipped" in told
    assert "step-00000012" in told
    assert "resuming from" in told
    steps = [line["step"] for line in logged(finished) if "mlm" in line]
    assert steps == sorted(set(steps))


def test_a_named_checkpoint_can_be_branched_from(finished: Path, tiny_recipe: Path, tmp_path: Path):
    branch = ["--out", str(tmp_path / "branch"), "--resume", str(finished / "checkpoints" / "step-00000008")]
    assert train(tiny_recipe, *branch) == 0
    assert same(weights(finished), weights(tmp_path / "branch"))


def test_resuming_what_is_finished_ends_at_once(finished: Path, tiny_recipe: Path):
    before = weights(finished)
    assert train(tiny_recipe, "--resume", "auto") == 0
    assert same(before, weights(finished))


def test_resume_auto_starts_where_there_is_nothing(tiny_recipe: Path, tmp_path: Path):
    assert train(tiny_recipe, "--resume", "auto") == 0
    assert (tmp_path / "run" / "final").is_dir()


def test_more_steps_may_be_asked_for_and_it_is_said(finished: Path, tiny_recipe: Path, capsys):
    assert train(tiny_recipe, "train.steps=16", "--resume", "auto") == 0
    assert "train.steps: 12 -> 16" in capsys.readouterr().err
    assert logged(finished)[-1]["step"] == 16


@pytest.mark.parametrize(
    "change", ["seed=1", "train.batch_size=4", "model.layers=1", "objective.mask_rate=0.3"]
)
def test_another_run_is_not_resumed(finished: Path, tiny_recipe: Path, capsys, change: str):
    assert train(tiny_recipe, change, "--resume", "auto") == 2
    assert change.partition("=")[0] in capsys.readouterr().err


def test_nothing_is_overwritten_unasked(finished: Path, tiny_recipe: Path, capsys):
    before = (finished / "metrics.jsonl").read_bytes()
    assert train(tiny_recipe) == 2
    told = capsys.readouterr().err
    assert "--resume" in told
    assert "--overwrite" in told
    assert (finished / "metrics.jsonl").read_bytes() == before
    assert train(tiny_recipe, "--overwrite", "train.steps=1") == 0
    assert logged(finished)[-1]["step"] == 1


def test_a_run_goes_on_from_pretrained_weights(finished: Path, tiny_recipe: Path, tmp_path: Path, capsys):
    recipe = tmp_path / "more.yaml"
    text = tiny_recipe.read_text().splitlines()
    recipe.write_text(
        "\n".join([f"init_from: {finished / 'final'}", *(t for t in text if not t.startswith("model"))])
    )
    assert train(recipe, "train.steps=1", "train.lr=1e-9", "--out", str(tmp_path / "more")) == 0
    for name, tensor in weights(finished).items():
        torch.testing.assert_close(tensor, weights(tmp_path / "more")[name], rtol=1e-5, atol=1e-6)
    assert "random weights" not in capsys.readouterr().err
    assert (
        train(recipe, "train.steps=1", "objective.next_sentence=true", "--out", str(tmp_path / "pairs")) == 0
    )
    assert "has no pooler, pair: random weights to begin with" in capsys.readouterr().err


def test_next_sentence_pairs_train_and_export(tiny_recipe: Path, tmp_path: Path):
    assert train(tiny_recipe, "objective.next_sentence=true") == 0
    config = json.loads((tmp_path / "run" / "final" / "config.json").read_text())
    assert config["architectures"] == ["BertForPreTraining"]
    assert "heldout/nsp_accuracy" in logged(tmp_path / "run")[-1]


def test_stages_lengthen_the_sequences(tiny_recipe: Path, tmp_path: Path):
    recipe = tmp_path / "stages.yaml"
    stages = (
        "stages: [{sequence_length: 16, batch_size: 8, share: 0.5}, {sequence_length: 64, "
        "batch_size: 2, share: 0.5}]"
    )
    recipe.write_text(tiny_recipe.read_text().replace("batch_size: 8, sequence_length: 32", stages))
    assert train(recipe) == 0
    tokens = {line["step"]: line["tokens"] for line in logged(tmp_path / "run") if "tokens" in line}
    assert tokens[12] == 6 * 8 * 16 + 6 * 2 * 64


@pytest.mark.parametrize(
    ("budget", "steps"), [("2560 tokens", 10), ("2e8 flops", None), ("0.5 epochs", None), ("2 s", None)]
)
def test_a_budget_stands_for_steps(tiny_recipe: Path, tmp_path: Path, budget: str, steps: int | None):
    assert train(tiny_recipe, "~train.steps", f"train.budget={budget}") == 0
    taken = logged(tmp_path / "run")[-1]["step"]
    assert taken == steps if steps else taken > 1


def test_a_loss_that_is_not_finite_stops_with_code_4(tiny_recipe: Path, tmp_path: Path, capsys):
    assert train(tiny_recipe, "train.lr=1e30", "train.max_grad_norm=1e30", "train.warmup=0") == 4
    told = capsys.readouterr().err
    assert "not finite" in told
    assert "last good checkpoint" in told


def test_bf16_on_a_cpu_is_refused_with_the_reason(tiny_recipe: Path, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert train(tiny_recipe, "train.precision=bf16") == 2
    assert "software" in capsys.readouterr().err


def test_another_tokenizer_is_refused_by_name(tiny_store: Path, tiny_recipe: Path, tmp_path: Path, capsys):
    copy = tmp_path / "tokens"
    shutil.copytree(tiny_store, copy)
    path = copy / "tokenizer" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocab = content["model"]["vocab"]
    first, second = [token for token in vocab if vocab[token] in (10, 11)]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    path.write_text(json.dumps(content))
    assert train(tiny_recipe, f"store={copy}") == 3
    assert "not the tokenizer" in capsys.readouterr().err


@pytest.mark.parametrize("objective", ["mlm", "sop", "electra"])
def test_a_tokenizer_without_the_tokens_of_an_encoder_is_refused(
    tiny_store: Path, tiny_recipe: Path, tmp_path: Path, objective: str, capsys
):
    copy = tmp_path / "tokens"
    shutil.copytree(tiny_store, copy)
    for name in ("tokenizer_config", "special_tokens_map"):
        path = copy / "tokenizer" / f"{name}.json"
        kept = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("cls_token", "mask_token")}
        path.write_text(json.dumps(kept))
    model = {"mlm": "bert", "sop": "albert", "electra": "electra"}[objective]
    changes = [f"store={copy}", f"model.name={model}", f'objective={{"name": "{objective}"}}']
    assert main([f"pretrain-{objective}", str(tiny_recipe), *changes]) == 3
    assert "names no cls_token, mask_token" in capsys.readouterr().err


def test_a_dry_run_writes_nothing_and_counts_everything(tiny_recipe: Path, tmp_path: Path, capsys):
    assert train(tiny_recipe, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "run").exists()
    state = weights_of_a_new_model(tiny_recipe, tmp_path)
    assert told["parameters"] == sum(tensor.numel() for tensor in state.values())
    assert told["steps"] == 12
    assert told["tokens"] == 12 * 8 * 32


def weights_of_a_new_model(recipe: Path, tmp_path: Path) -> dict[str, torch.Tensor]:
    assert train(recipe, "train.steps=1") == 0
    return load_file(tmp_path / "run" / "checkpoints" / "step-00000001" / "model.safetensors")


def test_figures_go_to_tensorboard_when_asked(tiny_recipe: Path, tmp_path: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert train(tiny_recipe, "track=[tensorboard]") == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("mlm")][-1] == 12
    assert {"heldout/mlm", "lr", "grad_norm"} <= set(events.Tags()["scalars"])


def test_a_tracker_that_is_not_installed_is_named_before_training(tiny_recipe: Path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert train(tiny_recipe, "track=[wandb]") == 2
    assert "pip install wandb" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs a C++ compiler")
def test_a_compiled_run_learns_the_same(tiny_recipe: Path, tmp_path: Path):
    plain = ["model.dropout=0", "model.attention_dropout=0"]
    assert train(tiny_recipe, *plain) == 0
    assert train(tiny_recipe, *plain, "train.compile=true", "--out", str(tmp_path / "compiled")) == 0
    for a, b in zip(logged(tmp_path / "run"), logged(tmp_path / "compiled"), strict=True):
        if "mlm" in a:
            assert a["mlm"] == pytest.approx(b["mlm"], abs=1e-4)


def test_results_go_to_stdout_and_messages_to_stderr(tiny_recipe: Path, capsys):
    assert train(tiny_recipe, "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["steps"] == 12
    assert "step 12/12" in told.err


def test_the_module_runs_as_a_program(tiny_recipe: Path):
    done = subprocess.run(
        [sys.executable, "-m", "nlptool", "pretrain-mlm", str(tiny_recipe), "train.steps=2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "held-out masked LM loss" in done.stdout


def test_a_dry_run_shows_no_key_of_another_command(tiny_recipe: Path, capsys) -> None:
    assert main(["pretrain-mlm", str(tiny_recipe), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "init_from: null" in shown
    assert "teacher" not in shown
    assert "student" not in shown
    for command, known in (("pretrain-mlm", False), ("distill", True)):
        assert main(["schema", command]) == 0
        assert ("teacher" in json.loads(capsys.readouterr().out)["properties"]) == known
