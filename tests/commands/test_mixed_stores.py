"""Pretraining on several stores with given weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nlptool.cli import main
from nlptool.text.store import SplitWriter, TokenStore


@pytest.fixture
def stores(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stores a and b of one tokenizer; b has the last 20 documents, and no held-out one."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_store, tmp_path / "a")
    shutil.copytree(tiny_store, tmp_path / "b")
    whole = TokenStore(tiny_store).split("train")
    for name, documents in (("train", range(40, 60)), ("heldout", ())):
        writer = SplitWriter(tmp_path / "b" / name, whole.dtype)
        for number in documents:
            sentences = whole.document(number)
            writer.add(np.concatenate(sentences), np.array([len(one) for one in sentences], np.int32))
        writer.close()
    (tmp_path / "mixed.yaml").write_text(
        "store:\n  - {path: a, weight: 0.6}\n  - {path: b, weight: 0.4}\n"
        "model: {name: bert, layers: 1, hidden: 16, heads: 2, max_positions: 64}\n"
        "objective: {name: mlm}\n"
        "train: {steps: 8, batch_size: 8, sequence_length: 32, lr: 1e-3, warmup: 2}\n"
        "evaluate: {every: 4, batches: 2}\n"
        "save: {every: 4, keep_last: 2}\n"
        "out: run\n"
    )
    return tmp_path


def pretrain(*arguments: str) -> int:
    return main(["pretrain-mlm", "mixed.yaml", *arguments])


def test_a_run_on_two_stores_is_resumed_to_the_same_bits_and_not_with_another_store(stores: Path, capsys):
    assert pretrain() == 0
    whole = (stores / "run/final/model.safetensors").read_bytes()
    assert pretrain("--out", "again") == 0
    shutil.rmtree(stores / "again/final")
    shutil.rmtree(stores / "again/checkpoints/step-00000008")
    assert pretrain("--out", "again", "--resume", "auto") == 0
    assert (stores / "again/final/model.safetensors").read_bytes() == whole
    (stores / "elsewhere").mkdir()
    (stores / "b").rename(stores / "elsewhere/b")
    shutil.rmtree(stores / "again/final")
    capsys.readouterr()
    assert pretrain("store.1.path=elsewhere/b", "--out", "again", "--resume", "auto") == 0
    assert "another path of the same files, store.1.path: b -> elsewhere/b" in capsys.readouterr().err
    assert "path: elsewhere/b" in (stores / "again/recipe.yaml").read_text("utf8")
    assert pretrain("store.1.path=elsewhere/b", "--out", "again", "--resume", "auto") == 0
    assert "is finished, nothing to do" in capsys.readouterr().err
    (stores / "elsewhere/b").rename(stores / "b")
    assert pretrain("--out", "other", "store=[{path: a, weight: 1}, {path: b, weight: 9}]") == 0
    assert (stores / "other/final/model.safetensors").read_bytes() != whole
    assert pretrain("--resume", "auto", "store=[{path: a, weight: 1}, {path: b, weight: 9}]") == 2
    assert "store.0.weight: 0.6 -> 1" in capsys.readouterr().err
    facts = json.loads((stores / "b/store.json").read_text())
    (stores / "b/store.json").write_text(json.dumps(facts | {"corpus": "another"}))
    assert pretrain("--resume", "auto") == 3
    assert "b: is not the token store that run began with" in capsys.readouterr().err


def test_the_held_out_loss_of_each_store_is_told_where_several_have_one(stores: Path, capsys):
    assert pretrain("--json") == 0
    assert not [name for name in json.loads(capsys.readouterr().out)["heldout"] if "/" in name]  # b has none
    shutil.copytree(stores / "a", stores / "inner/a")
    both = "store=[{path: a, weight: 1}, {path: inner/a, weight: 1}, {path: b, weight: 1}]"
    assert pretrain(both, "--out", "both", "--json") == 0
    heldout = json.loads(capsys.readouterr().out)["heldout"]
    assert heldout["a-1/mlm"] == heldout["a-2/mlm"] == pytest.approx(heldout["mlm"], rel=0.2)
    lines = [json.loads(line) for line in (stores / "both/metrics.jsonl").read_text().splitlines()]
    assert sum("heldout/a-1/mlm" in line for line in lines) == 2
    assert main(["report", "both", "--out", "report"]) == 0
    pages = [path.read_text() for path in (stores / "report").rglob("*.html")]
    assert any("a-1: " in page for page in pages)


def test_what_would_be_read_of_each_store_is_told(stores: Path, capsys):
    assert pretrain("--dry-run", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert [(one["path"], round(one["share"], 4)) for one in facts["stores"]] == [("a", 0.6), ("b", 0.4)]
    a, b = facts["stores"]
    assert b["epochs"] / a["epochs"] == pytest.approx(0.4 / 0.6 * a["tokens"] / b["tokens"], rel=0.05)
    assert pretrain("--dry-run", "store=[{path: a}, {path: b}]") == 0
    out = capsys.readouterr().out
    shares = [line.split()[1] for line in out.splitlines() if line.startswith(("a ", "b "))]
    assert [float(share.rstrip("%")) for share in shares] == pytest.approx([75, 25], abs=1)


@pytest.mark.parametrize(
    ("stores_of", "code", "told"),
    [
        ("[]", 2, "an empty list"),
        ("[{path: a, weight: 1}, {path: nowhere, weight: 1}]", 2, "store.1.path: no token store at nowhere"),
        ("[{path: a, weight: 1}, {path: b}]", 2, "store.1.weight: missing"),
        ("[{path: a, weight: 0}]", 2, "store.0.weight: expected a number above 0"),
        ("[{path: a, wieght: 1}]", 2, "did you mean weight"),
        ("[{path: a, weight: 1}, {path: c, weight: 1}]", 3, "its tokenizer is another than that of a"),
        ("[{path: a, weight: 1e9}, {path: b, weight: 1}]", 2, "less than a row in 65,536"),
    ],
)
def test_what_cannot_be_mixed_is_one_clear_line(stores_of: str, code: int, told: str, stores: Path, capsys):
    shutil.copytree("a", "c")
    facts = json.loads(Path("c/store.json").read_text())
    Path("c/store.json").write_text(json.dumps(facts | {"fingerprint": "other"}))
    assert pretrain(f"store={stores_of}", "--dry-run") == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
