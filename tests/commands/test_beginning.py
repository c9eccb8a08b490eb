"""Initialisation of pretraining runs: padded embeddings, another tokenizer, ELECTRA's generator."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nlptool.cli import main
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.run import training_job
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.models import huggingface
from nlptool.recipe import load
from nlptool.text.store import SplitWriter, dtype_for
from nlptool.text.tokenizer import Tokenizer
from nlptool.train.distributed import DistributedContext

BERT = {"name": "bert", "layers": 2, "hidden": 16, "heads": 2, "max_positions": 64}
ELECTRA = 'model={"name": "electra", "layers": 2, "hidden": 32, "heads": 2, "embedding_size": 16, "max_positions": 64}'
PADDING = 48


def pad(folder: Path) -> Path:
    """Give its embeddings further rows, as resize_token_embeddings does."""
    tensors = load_file(folder / "model.safetensors")
    torch.manual_seed(1)
    for name, tensor in tensors.items():
        if "word_embeddings" in name or name == "cls.predictions.bias":
            more = 0.1 * torch.randn(PADDING, *tensor.shape[1:])
            tensors[name] = torch.cat([tensor, more])
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    settings = json.loads((folder / "config.json").read_text())
    settings["vocab_size"] += PADDING
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def plain(write_teacher, tmp_path: Path) -> Path:
    return write_teacher(tmp_path / "plain", BERT)


@pytest.fixture
def padded(plain: Path, tmp_path: Path) -> Path:
    return pad(Path(shutil.copytree(plain, tmp_path / "padded")))


def recipe(store: Path, folder: Path, **keys: str) -> Path:
    path = folder / "recipe.yaml"
    lines = [f"{key}: {value}" for key, value in keys.items()]
    path.write_text(
        f"store: {store}\n"
        "train: {steps: 2, batch_size: 8, sequence_length: 32, lr: 1e-3}\n"
        "evaluate: {every: 2, batches: 2}\n"
        f"out: {folder / 'run'}\n" + "".join(f"{line}\n" for line in lines)
    )
    return path


def planned(path: Path, *changes: str) -> PretrainSetup:
    return PretrainSetup(load(path, changes, Recipe).recipe)


def begun(plan: PretrainSetup) -> dict[str, torch.Tensor]:
    made = training_job(plan, DistributedContext(0, 1, torch.device("cpu")))
    made.batches.close()
    return dict(made.objective.state_dict())


def test_padded_embeddings_go_on_as_they_are_and_no_mask_shows_a_row_without_a_token(
    tiny_store: Path, padded: Path, tmp_path: Path, capsys
):
    path = recipe(tiny_store, tmp_path, init_from=str(padded), objective="{name: mlm}")
    tokens = Tokenizer.load(tiny_store / "tokenizer").vocab_size
    plan = planned(path)
    assert (plan.vocabulary.size, plan.vocabulary.rows) == (tokens, tokens + PADDING)
    assert plan.vocabulary.ordinary.max() < tokens
    kept = load_file(padded / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert torch.equal(begun(plan)["backbone.embeddings.tokens.weight"], kept)
    assert main(["pretrain-mlm", str(path)]) == 0
    final = huggingface.load_pretrained(tmp_path / "run" / "final")
    assert final.vocab_size == tokens + PADDING
    assert main(["fill-mask", str(tmp_path / "run"), "the old [MASK]"]) == 0
    capsys.readouterr()
    assert main(["doctor", str(tmp_path / "run")]) == 0
    assert f"{PADDING} rows of its embeddings are padding" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("student", ["student: {layers: 1}", f"model: {json.dumps(BERT | {'layers': 1})}"])
def test_a_padded_teacher_teaches(tiny_store: Path, padded: Path, tmp_path: Path, student: str):
    key, _, value = student.partition(": ")
    path = recipe(tiny_store, tmp_path, teacher=str(padded), objective="{name: distill}", **{key: value})
    assert main(["distill", str(path)]) == 0


def test_a_student_and_a_teacher_share_the_rows_that_both_have(
    tiny_store: Path, plain: Path, padded: Path, tmp_path: Path
):
    path = recipe(
        tiny_store, tmp_path, init_from=str(plain), teacher=str(padded), objective="{name: distill}"
    )
    assert planned(path).vocabulary.padding == 0
    assert main(["distill", str(path)]) == 0


def test_a_run_is_resumed_where_its_initial_model_has_moved_and_not_with_another_one_at_another_path(
    tiny_store: Path, plain: Path, padded: Path, tmp_path: Path, capsys
):
    path = recipe(tiny_store, tmp_path, init_from=str(plain), objective="{name: mlm}")
    assert main(["pretrain-mlm", str(path)]) == 0
    shutil.rmtree(tmp_path / "run/final")
    moved = plain.rename(tmp_path / "moved")
    assert main(["pretrain-mlm", str(path), f"init_from={padded}", "--resume", "auto"]) == 2
    assert f"init_from: {plain} -> {padded}" in capsys.readouterr().err.replace("\n", "")
    assert main(["pretrain-mlm", str(path), f"init_from={moved}", "--resume", "auto"]) == 0
    assert "another path of the same files, init_from" in capsys.readouterr().err
    assert (tmp_path / "run/final").is_dir()
    save_file(
        {name: tensor + 1 for name, tensor in load_file(moved / "model.safetensors").items()},
        moved / "model.safetensors",
        metadata={"format": "pt"},
    )
    shutil.rmtree(tmp_path / "run/final")  # the weights are those of the checkpoint by now
    assert main(["pretrain-mlm", str(path), f"init_from={moved}", "--resume", "auto"]) == 0


def test_more_rows_than_tokens_are_refused_where_no_tokenizer_says_which_are_tokens(
    tiny_store: Path, padded: Path, tmp_path: Path, capsys
):
    (padded / "tokenizer.json").unlink()
    path = recipe(tiny_store, tmp_path, init_from=str(padded), objective="{name: mlm}")
    assert main(["pretrain-mlm", str(path)]) == 3
    assert "has a vocabulary of" in capsys.readouterr().err


def test_another_tokenizer_of_the_same_size_is_refused(tiny_store: Path, plain: Path, tmp_path: Path, capsys):
    text = (plain / "tokenizer.json").read_text()
    assert '"Ġriver"' in text
    (plain / "tokenizer.json").write_text(text.replace('"Ġriver"', '"Ġocean"'))
    path = recipe(tiny_store, tmp_path, init_from=str(plain), objective="{name: mlm}")
    assert main(["pretrain-mlm", str(path)]) == 3
    assert str(plain) in capsys.readouterr().err.replace("\n", "")


def test_a_held_out_split_that_makes_no_row_is_left_out(tiny_store: Path, tmp_path: Path):
    store = Path(shutil.copytree(tiny_store, tmp_path / "store"))
    for path in store.glob("heldout.*"):
        path.unlink()
    writer = SplitWriter(store / "heldout", dtype_for(Tokenizer.load(store / "tokenizer").vocab_size))
    writer.add(np.array([7, 8, 9]), np.array([3], np.int32))
    writer.close()
    path = recipe(store, tmp_path, model=json.dumps(BERT), objective="{name: mlm}")
    assert main(["pretrain-mlm", str(path)]) == 0


@pytest.fixture
def electra(tiny_store: Path, tmp_path: Path) -> Path:
    """The final/ of an ELECTRA."""
    return trained_electra(tiny_store, tmp_path, "embeddings")


def trained_electra(store: Path, folder: Path, tie: str) -> Path:
    (folder / "first").mkdir()
    objective = f"{{name: electra, tie: {tie}}}"
    path = recipe(store, folder / "first", objective=objective, model=ELECTRA[6:])
    assert main(["pretrain-electra", str(path)]) == 0
    return folder / "first" / "run" / "final"


@pytest.mark.parametrize("tie", ["embeddings", "none"])
def test_an_electra_goes_on_with_the_generator_beside_it(tiny_store: Path, tmp_path: Path, tie: str):
    electra = trained_electra(tiny_store, tmp_path, tie)
    path = recipe(tiny_store, tmp_path, init_from=str(electra), objective=f"{{name: electra, tie: {tie}}}")
    plan = planned(path)
    assert plan.fresh() == []
    state = begun(plan)
    theirs = load_file(electra / "generator" / "model.safetensors")
    own = state["generator.layers.mlp.1.up.weight"]
    assert torch.equal(own, theirs["electra.encoder.layer.1.intermediate.dense.weight"])
    assert torch.equal(state["generator.mlm.bias"], theirs["generator_lm_head.bias"])
    assert ("generator.embeddings.tokens.weight" in state) == (tie == "none")


def test_without_a_generator_beside_it_an_electra_says_that_its_generator_is_new(
    tiny_store: Path, electra: Path, tmp_path: Path
):
    shutil.rmtree(electra / "generator")
    path = recipe(tiny_store, tmp_path, init_from=str(electra), objective="{name: electra}")
    assert planned(path).fresh() == [f"{electra} has no generator: random weights to begin with"]


def test_a_generator_of_another_size_is_refused_with_both_ways_out(
    tiny_store: Path, electra: Path, tmp_path: Path, capsys
):
    path = recipe(
        tiny_store, tmp_path, init_from=str(electra), objective="{name: electra, generator_size: 0.5}"
    )
    assert main(["pretrain-electra", str(path)]) == 3
    told = " ".join(capsys.readouterr().err.split())
    assert "hidden 8 and not 16" in told
    assert "set the keys of objective as they were, or move" in told
