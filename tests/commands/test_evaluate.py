"""`nlptool evaluate`: one table for models of any kind."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nlptool.cli import main
from nlptool.commands.evaluate import run
from nlptool.evaluation.perplexity import RatioEstimate


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    rows = [{"sentence_good": "the river reads.", "sentence_bad": "the river read."}] * 3
    (folder / "agreement.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_masked_model_is_asked_text_and_pairs(tiny_run: Path, tiny_store: Path, pairs: Path, capsys):
    line = [tiny_run / "final", "--store", tiny_store, "--max-chars", 60, "--minimal-pairs", pairs]
    (found,) = told(capsys, *line)
    (alone,) = told(capsys, *line, "--batch-size", 1)
    assert alone["nats_per_token"] == pytest.approx(found["nats_per_token"], rel=1e-5)
    assert alone["minimal_pairs"] == found["minimal_pairs"]
    assert found["kind"] == "pseudo-likelihood"
    assert (found["documents"], found["bytes"]) == (6, 360)
    assert 0 < found["bits_per_byte_half_interval"] < found["bits_per_byte"]
    assert found["minimal_pairs"]["files"]["agreement"]["of"] == 3


def test_an_untrained_looking_model_pays_about_the_logarithm_of_its_vocabulary(
    tiny_run: Path, tiny_store: Path, capsys
):
    """12 steps teach next to nothing: a token costs about ln 400 nats."""
    (found,) = told(capsys, tiny_run / "final", "--store", tiny_store, "--max-chars", 60)
    assert 5 < found["nats_per_token"] < 7


def test_the_table_and_its_figures_are_written(tiny_run: Path, pairs: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert main(["evaluate", str(tiny_run / "final"), "--minimal-pairs", str(pairs), "-o", str(out)]) == 0
    assert "minimal pairs (chance 50 %)" in capsys.readouterr().out
    assert json.loads((out / "evaluate.json").read_text())[0]["model"] == str(tiny_run / "final")
    assert (out / "evaluate.md").read_text().startswith("| model | parameters | minimal pairs")
    assert main(["evaluate", str(tiny_run / "final"), "--minimal-pairs", str(pairs), "-o", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{final}"], 2, "nothing to evaluate the models on"),
        (["{final}x", "--store", "{store}"], 2, "no Hugging Face folder"),
        (["{final}", "--minimal-pairs", "{empty}"], 3, "minimal pairs"),
        (["{final}", "--store", "{empty}"], 3, "store"),
        (
            ["{final}", "--minimal-pairs", "{empty}", "--max-chars", "9"],
            2,
            "--max-chars has no effect",
        ),
        (["{final}", "--store", "{empty}", "--limit", "9"], 2, "--limit has no effect"),
        (["{final}", "--store", "{empty}", "--data", "x"], 2, "--data has no effect"),
        (["{final}", "--store", "{empty}", "--resume", "auto"], 2, "--resume has no effect"),
        (["{final}", "--store", "{empty}", "--overwrite"], 2, "--overwrite has no effect"),
        (["{final}", "--store", "{empty}", "-o", "x", "--resume", "y"], 2, "its own output folder"),
    ],
)
def test_what_cannot_be_asked_is_told(
    arguments: list[str], code: int, message: str, tiny_run: Path, tiny_store: Path, tmp_path: Path, capsys
):
    (tmp_path / "empty").mkdir()
    names = {"final": tiny_run / "final", "store": tiny_store, "empty": tmp_path / "empty"}
    assert main(["evaluate", *(argument.format(**names) for argument in arguments)]) == code
    assert message in capsys.readouterr().err


def test_a_store_without_held_out_text_is_told(tiny_run: Path, tiny_store: Path, tmp_path: Path, capsys):
    from nlptool.text.store import SplitWriter, dtype_for

    store = Path(shutil.copytree(tiny_store, tmp_path / "store"))
    for suffix in (".bin", ".idx"):
        (store / f"heldout{suffix}").unlink()
    SplitWriter(store / "heldout", dtype_for(400)).close()
    assert main(["evaluate", str(tiny_run / "final"), "--store", str(store)]) == 3
    assert "heldout=0.05" in capsys.readouterr().err


def test_what_is_beyond_all_numbers_is_none_in_json_and_infinite_in_the_table(
    tiny_run: Path, tiny_store: Path, tmp_path: Path, capsys, monkeypatch
):
    monkeypatch.setattr(run.perplexity, "nats_per_token", lambda costs: RatioEstimate(1000.0, float("inf")))
    line = [tiny_run / "final", "--store", tiny_store, "--max-chars", 20]
    assert main(["evaluate", *map(str, line), "--json"]) == 0
    printed = capsys.readouterr().out
    assert "Infinity" not in printed
    (found,) = json.loads(printed)
    assert found["perplexity"] is found["nats_per_token_half_interval"] is None
    assert main(["evaluate", *map(str, line)]) == 0
    assert "∞" in capsys.readouterr().out


def test_a_tokenizer_of_another_model_is_told(tiny_run: Path, pairs: Path, tmp_path: Path, capsys):
    final = tmp_path / "final"
    shutil.copytree(tiny_run / "final", final)
    tokens = json.loads((final / "tokenizer.json").read_text())
    more = max(tokens["model"]["vocab"].values()) + 1
    tokens["model"]["vocab"]["zzz"] = more
    (final / "tokenizer.json").write_text(json.dumps(tokens))
    message = f"the tokenizer has {more + 1:,} tokens, the model only {more:,}"
    for line in (
        ["evaluate", str(final), "--minimal-pairs", str(pairs)],
        ["fill-mask", str(final), "a [MASK]"],
    ):
        assert main(line) == 3
        assert message in capsys.readouterr().err
