"""Domain vocabulary: `tokenize tokenizer.extend=MODEL`, then any objective from the resized weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nlptool.cli import main
from nlptool.text import extension
from nlptool.text.tokenizer import Tokenizer

SIZES = "layers: 2, hidden: 16, heads: 2, max_positions: 64"
MODELS = {"mlm": "bert", "clm": "gpt2", "electra": "electra"}
COMMANDS = {name: f"pretrain-{name}" for name in MODELS}
TEXT = "the bellringer of the woodhouse reads winterlight. the bellringer is a woodhouse bellringer.\n" * 30


@pytest.fixture(scope="module")
def extended(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of words that the tiny store's tokenizer cuts into pieces, with tokens for them."""
    folder = tmp_path_factory.mktemp("domain")
    (folder / "domain.txt").write_text("\n".join(TEXT + f"number {n} of the woodhouse\n" for n in range(12)))
    (folder / "recipe.yaml").write_text(
        f"source: {{files: {folder / 'domain.txt'}, document_boundary: blank-line}}\n"
        f"tokenizer: {{extend: {tiny_store}, added: 12}}\nheldout: 0.3\nworkers: 1\nout: {folder / 'tokens'}\n"
    )
    assert main(["tokenize", str(folder / "recipe.yaml")]) == 0
    return folder / "tokens"


def written(folder: Path, name: str, store: Path, *lines: str) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(
        "\n".join(
            [f"store: {store}", "train: {steps: 1, batch_size: 4, sequence_length: 32, lr: 1e-3}", *lines]
        )
        + f"\nevaluate: {{every: 1, batches: 1}}\nout: {folder / name}\n"
    )
    return str(path)


@pytest.mark.parametrize("objective", MODELS)
def test_new_rows_are_means_of_their_old_pieces(
    objective: str, tiny_store: Path, extended: Path, tmp_path: Path, capsys
):
    head, command = f"objective: {{name: {objective}}}", COMMANDS[objective]
    model = f"model: {{name: {MODELS[objective]}, {SIZES}}}"
    assert main([command, written(tmp_path, "old", tiny_store, head, model)]) == 0
    start = tmp_path / "old" / "final"
    capsys.readouterr()
    assert main([command, written(tmp_path, "new", extended, head, f"init_from: {start}"), "--json"]) == 0
    told = capsys.readouterr()
    assert "12 tokens added, whose embeddings begin as means of their old pieces" in told.err
    result = json.loads(told.out)
    assert result["heldout_before"].keys() == result["heldout"].keys()
    assert result["heldout_before"] != result["heldout"]

    old, new = Tokenizer.load(start), Tokenizer.load(extended / "tokenizer")
    pieces = extension.pieces_of(old, new)
    for folder in ("", "generator") if objective == "electra" else ("",):
        before, after = (
            load_file(tmp_path / run / "final" / folder / "model.safetensors") for run in ("old", "new")
        )
        name = next(key for key in before if "word_embeddings" in key or key.endswith("wte.weight"))
        assert len(after[name]) == new.vocab_size == len(before[name]) + 12
        assert torch.allclose(after[name][: old.vocab_size], before[name], atol=2.1e-3), (
            "one step of 1e-3 at most"
        )
        for number, ids in pieces.items():
            assert torch.allclose(after[name][number], before[name][ids].mean(0), atol=2.1e-3)


def test_a_run_that_was_stopped_before_its_first_step_has_one_evaluation_of_step_0(
    tiny_run: Path, extended: Path, tmp_path: Path
):
    recipe = written(tmp_path, "new", extended, "objective: {name: mlm}", f"init_from: {tiny_run / 'final'}")
    assert main(["pretrain-mlm", recipe]) == 0
    steps = [json.loads(line) for line in (tmp_path / "new" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if "heldout/mlm" in line] == [0, 1]
    assert main(["pretrain-mlm", recipe, "train.steps=2", "--resume", "auto"]) == 0
    steps = [json.loads(line) for line in (tmp_path / "new" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if "heldout/mlm" in line] == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["tokenizer.added=5"], "added requires extend"),
        (["tokenizer.extend=STORE", "tokenizer.load=STORE"], "give either load or extend"),
        (["tokenizer.extend=nowhere"], "nowhere: no such file or folder"),
        (["tokenizer.extend=STORE", "tokenizer.added=0"], "tokenizer.added"),
    ],
)
def test_keys_that_contradict_each_other_are_told(
    tiny_store: Path, tmp_path: Path, changes: list[str], told: str, capsys
):
    (tmp_path / "a.txt").write_text("the old town\n")
    (tmp_path / "recipe.yaml").write_text(
        f"source: {{files: {tmp_path / 'a.txt'}}}\nout: {tmp_path / 'out'}\n"
    )
    changes = [change.replace("STORE", str(tiny_store)) for change in changes]
    assert main(["tokenize", str(tmp_path / "recipe.yaml"), *changes]) == 2
    assert told in capsys.readouterr().err


def test_a_text_that_needs_no_tokens_is_told(tiny_store: Path, tmp_path: Path, capsys):
    (tmp_path / "a.txt").write_text("xyz\n")
    (tmp_path / "recipe.yaml").write_text(
        f"source: {{files: {tmp_path / 'a.txt'}}}\ntokenizer: {{extend: {tiny_store}}}\nout: {tmp_path / 'out'}\n"
    )
    assert main(["tokenize", str(tmp_path / "recipe.yaml")]) == 3
    assert "nothing is added" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
