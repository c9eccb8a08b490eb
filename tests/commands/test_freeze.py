"""`train.freeze`: fine-tuning with frozen parts."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nlptool.cli import main
from nlptool.commands.finetune.recipe import Recipe
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.recipe import load


@pytest.fixture
def recipe(tiny_run: Path, tmp_path: Path) -> str:
    """Ten rows of two classes on the tiny BERT of two layers, with dropout."""
    rows = [{"text": f"the {word} town reads", "label": word} for word in ("old", "small") * 5]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(
        "task: {name: classification, inputs: [text], labels: [old, small], metrics: [accuracy]}\n"
        f"data: {tmp_path}\ninit_from: {tiny_run / 'final'}\nout: {tmp_path / 'out'}\n"
        "train: {steps: 3, batch_size: 4, sequence_length: 16, lr: 1e-2, warmup: 0}\n"
    )
    return str(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("freeze", "kept"),
    [
        ("backbone", ("bert.embeddings.", "bert.encoder.layer.")),
        ("[embeddings, 0]", ("bert.embeddings.", "bert.encoder.layer.0.")),
        ("1", ("bert.encoder.layer.1.",)),
    ],
)
def test_frozen_parts_stay_as_they_were_and_others_learn(
    recipe: str, freeze: str, kept: tuple[str, ...], tiny_run: Path, tmp_path: Path
):
    assert main(["finetune", recipe, f"train.freeze={freeze}"]) == 0
    before = load_file(tiny_run / "final" / "model.safetensors")
    after = load_file(tmp_path / "out" / "seed-0" / "final" / "model.safetensors")
    shared = [name for name in after if name in before]
    assert len(shared) > 30
    same = {name for name in shared if torch.equal(before[name], after[name])}
    moving = {name for name in shared if not name.startswith(kept)}
    assert same >= {name for name in shared if name.startswith(kept)}
    if freeze == "backbone":
        assert {name for name in moving if ".layer." in name} == set()
    else:
        assert any(name not in same for name in moving), "what is not frozen is trained"


def setup(recipe: str, *changes: str) -> FinetuneSetup:
    return FinetuneSetup(load(Path(recipe), changes, Recipe).recipe)


def test_a_frozen_model_says_the_same_of_a_row_each_time(recipe: str):
    from nlptool.models.layers import Attention, Dropout

    objective = setup(recipe, "train.freeze=[embeddings, 0]").objective()
    rates = {
        name: part.rate for name, part in objective.named_modules() if isinstance(part, Dropout | Attention)
    }
    assert {rate for name, rate in rates.items() if "embeddings" in name or ".0" in name} == {0.0}
    assert all(rate > 0 for name, rate in rates.items() if ".1" in name or "classifier" in name)


def test_what_has_no_backward_pass_costs_a_third(recipe: str, tmp_path: Path):
    def cost(*changes: str) -> float:
        made = setup(recipe, *changes, f"out={tmp_path / 'rows'}")
        from nlptool.console import Console

        made.encode(tmp_path / "encoded", Console())
        made.open(tmp_path / "encoded")
        return made.flops_per_row(made.shape)

    whole, frozen = cost(), cost("train.freeze=backbone")
    assert 0.3 < frozen / whole < 0.45, "the head alone has a backward pass"
    assert whole > cost("train.freeze=[embeddings, 0]") > frozen
    assert cost("train.freeze=1") == pytest.approx(whole), "gradients go through it to those below"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["train.freeze=2"], "there is no layer 2; the model has 2 layers, from 0"),
        (["train.freeze=encoder"], "train.freeze"),
        (["train.freeze=-1"], "train.freeze"),
    ],
)
def test_parts_that_there_are_not_are_told(recipe: str, changes: list[str], told: str, capsys):
    assert main(["finetune", recipe, *changes]) == 2
    assert told in capsys.readouterr().err


def test_layers_that_share_weights_are_frozen_together(recipe: str, write_teacher, tmp_path: Path, capsys):
    block = {
        "name": "albert",
        "layers": 2,
        "hidden": 16,
        "heads": 2,
        "embedding_size": 8,
        "max_positions": 64,
    }
    start = write_teacher(tmp_path / "albert", block)
    assert main(["finetune", recipe, f"init_from={start}", "train.freeze=0"]) == 2
    assert "share their weights" in capsys.readouterr().err
    setup(recipe, f"init_from={start}", "train.freeze=backbone")
