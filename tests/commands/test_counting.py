"""Epochs and tokens in budgets, before and during a run; embeddings that no row has reached."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nlptool.cli import main
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.recipe import load
from nlptool.text.store import SplitWriter, TokenStore, dtype_for

MODEL = "{name: bert, layers: 1, hidden: 8, heads: 2, max_positions: 64}"


@pytest.fixture
def short(tiny_store: Path, tmp_path: Path) -> Path:
    """A recipe of sentence pairs on documents of two sentences of 6 tokens each, far shorter than its rows."""
    store, origin = tmp_path / "short", TokenStore(tiny_store)
    (store / "tokenizer").mkdir(parents=True)
    for path in origin.tokenizer.iterdir():
        (store / "tokenizer" / path.name).write_bytes(path.read_bytes())
    for split, number in (("train", 600), ("heldout", 20)):
        writer = SplitWriter(store / split, dtype_for(origin.vocab_size))
        for _ in range(number):
            writer.add(np.full(12, 50), np.array([6, 6], np.int32))
        writer.close()
    (store / "store.json").write_bytes((tiny_store / "store.json").read_bytes())
    path = tmp_path / "short.yaml"
    path.write_text(
        f"store: {store}\nmodel: {MODEL}\nobjective: {{name: sop, whole_word: false}}\n"
        "train: {budget: 1 epochs, batch_size: 16, sequence_length: 64}\nevaluate: {batches: 1}\n"
        f"out: {tmp_path / 'run'}\n"
    )
    return path


def last(folder: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "tokens" in line][-1]


def dry(command: str, recipe: Path, capsys, *changes: str) -> dict[str, float]:
    assert main([command, str(recipe), *changes, "--dry-run", "--json"]) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    return found


def test_an_epoch_of_pairs_reads_the_text_once_though_documents_are_shorter_than_rows(
    short: Path, tmp_path: Path, capsys
):
    told = dry("pretrain-sop", short, capsys)
    assert main(["pretrain-sop", str(short)]) == 0
    run = last(tmp_path / "run")
    rows = run["step"] * 16
    assert 600 <= rows < 616  # every row is a document
    assert run["tokens"] == rows * 15  # 12 of text, [CLS] and [SEP] twice
    assert told["epochs"] == pytest.approx(1, abs=0.03)
    assert told["tokens"] == run["tokens"]


def test_a_budget_of_tokens_counts_no_padding(short: Path, tmp_path: Path, capsys):
    budget = ["train.budget=4800 tokens", "--overwrite"]
    assert dry("pretrain-sop", short, capsys, budget[0])["steps"] == 20
    assert main(["pretrain-sop", str(short), *budget]) == 0
    assert last(tmp_path / "run")["tokens"] == 4800


@pytest.mark.parametrize("command", ["plan", "pretrain-sop"])
def test_plan_and_dry_run_say_the_same(command: str, short: Path, capsys):
    flag = ["--no-probe"] if command == "plan" else ["--dry-run"]
    assert main([command, str(short), *flag, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["tokens"]) == (38, 38 * 16 * 15)
    assert found["epochs"] == pytest.approx(38 * 16 / 600)


def test_an_epoch_of_short_packed_rows_reads_the_text_once(tiny_recipe: Path):
    plan = PretrainSetup(
        load(
            tiny_recipe, ["~train.steps", "train.budget=1 epochs", "train.sequence_length=16"], Recipe
        ).recipe
    )
    split = plan.store.split("train")
    read = plan.steps * 8 * 14  # [CLS] and the last [SEP] of a row are not of the stream
    assert 1 <= read / (split.tokens + len(split)) < 1.03


def test_stages_count_each_its_own_rows(tiny_recipe: Path):
    stages = (
        "train.stages=[{sequence_length: 16, batch_size: 8, share: 0.5}, {sequence_length: 64, "
        "batch_size: 2, share: 0.5}]"
    )
    plan = PretrainSetup(
        load(tiny_recipe, ["~train.batch_size", "~train.sequence_length", stages], Recipe).recipe
    )
    (_, first), (_, second) = plan.stages
    assert plan.epochs_per_step == pytest.approx(4 / len(first) + 1 / len(second))
    assert plan.tokens_per_step == 4 * 16 + 64


def types(folder: Path) -> torch.Tensor:
    return load_file(folder / "model.safetensors")["bert.embeddings.token_type_embeddings.weight"]


def test_a_segment_that_packed_rows_do_not_have_is_exported_as_the_first(tiny_run: Path):
    one, other = types(tiny_run / "final")
    assert torch.equal(one, other)
    assert one.any()


def test_a_segment_that_was_trained_before_is_kept(tiny_run: Path, tiny_recipe: Path, tmp_path: Path):
    pairs = ["objective.next_sentence=true", "--out", str(tmp_path / "pairs")]
    assert main(["pretrain-mlm", str(tiny_recipe), *pairs]) == 0
    one, other = types(tmp_path / "pairs" / "final")
    assert not torch.equal(one, other)
    on = ["~model", f"init_from={tmp_path}/pairs/final", "--out", str(tmp_path / "on")]
    assert main(["pretrain-mlm", str(tiny_recipe), *on]) == 0
    assert torch.allclose(types(tmp_path / "on" / "final")[1], other, rtol=0.01)


def test_positions_that_no_row_reaches_are_told_and_recorded(tiny_run: Path, tiny_recipe: Path, capsys):
    assert json.loads((tiny_run / "final" / "config.json").read_text())["trained_positions"] == 32
    assert main(["pretrain-mlm", str(tiny_recipe)]) == 0
    told = capsys.readouterr().err
    assert "64 positions" in told
    assert "model.max_positions=32" in told


def test_fine_tuning_goes_on_with_what_training_has_reached(tiny_run: Path, tmp_path: Path, capsys):
    """And tells where rows are longer; of those the training has then been longer, too."""
    (tmp_path / "task.yaml").write_text(
        "name: classification\ninputs: [text]\nlabels: [short, long]\nmetrics: [accuracy]\n"
    )
    row = '{"text": "%s", "label": %d}\n'
    (tmp_path / "validation.jsonl").write_text(row % ("the old house", 0))
    (tmp_path / "recipe.yaml").write_text(
        f"task: {tmp_path}/task.yaml\ndata: {tmp_path}\ninit_from: {tiny_run}/final\nout: {tmp_path}/run\n"
        "train: {steps: 1, batch_size: 2, sequence_length: 48}\n"
    )
    for words, reached in ((3, 32), (60, 48)):
        (tmp_path / "train.jsonl").write_text(row % ("the old house", 0) + row % ("house " * words, 1))
        assert main(["finetune", str(tmp_path / "recipe.yaml"), "--overwrite"]) == 0
        config = json.loads((tmp_path / "run" / "seed-0" / "final" / "config.json").read_text())
        assert config["trained_positions"] == reached
        assert ("was trained on 32 positions" in capsys.readouterr().err) == (reached > 32)


def test_where_rows_reach_all_positions_nothing_is_told(tiny_recipe: Path, capsys):
    assert main(["pretrain-mlm", str(tiny_recipe), "train.sequence_length=64"]) == 0
    assert "positions" not in capsys.readouterr().err


def test_evaluate_tells_of_texts_beyond_the_positions_that_were_trained(
    tiny_run: Path, tiny_store: Path, capsys
):
    for characters, told in (("40", False), ("400", True)):
        asked = ["--store", str(tiny_store), "--max-chars", characters]
        assert main(["evaluate", str(tiny_run / "final"), *asked]) == 0
        assert ("training has reached 32 positions" in capsys.readouterr().err) == told
