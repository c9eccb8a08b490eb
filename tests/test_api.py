"""nlptool from Python."""

from pathlib import Path

import numpy as np
import pytest

import nlptool
from nlptool.errors import DataError, RecipeError, UsageError

ROOT = Path(__file__).parents[1]


def test_names_are_there_and_others_are_not():
    assert set(nlptool.__all__) == {"Model", "load", "run"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nlptool.nothing


def test_a_recipe_is_carried_out_and_its_model_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = {"source": ..., "source.files": str(ROOT / "data/sample.en.txt"), "tokenizer.vocab_size": 400}
    nlptool.run("tokenize", "demo/tokenize", source, out=tmp_path / "tokens")
    short = {
        "store": str(tmp_path / "tokens"),
        "train.steps": 2,
        "train.stages": ...,
        "train.sequence_length": 16,
    }
    nlptool.run("pretrain-mlm", "demo/bert", short, out=tmp_path / "bert")
    capsys.readouterr()

    model = nlptool.load(tmp_path / "bert")
    assert model.folder == tmp_path / "bert/final"
    (guesses,) = model.fill_mask("The old [MASK] stood.", top_k=3)
    assert len(guesses) == 3
    assert guesses[0].probability >= guesses[1].probability
    assert model.tokenizer.decode(model.tokenizer.encode("The café")) == "The café"
    long, short_text = model.score(["The old man stood by the river.", "The"])
    assert long < short_text < 0
    vectors = model.embed(["The old man", "", "강"])
    assert vectors.shape == (3, 128)
    assert np.isfinite(vectors).all()
    with pytest.raises(Exception, match="decoder"):
        model.generate(["The"])


def test_rows_are_predicted(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    changes = {
        "task": "glue/sst2",
        "data": str(ROOT / "data/reviews"),
        "init_from": f"{tiny_run}/final",
        "train.steps": 2,
        "train.sequence_length": 16,
    }
    nlptool.run("finetune", "finetune/bert", changes, out=tmp_path / "task")
    capsys.readouterr()
    model = nlptool.load(tmp_path / "task/seed-0/final")
    texts = ["A fine film.", "지루하고 길다.", ""]
    found = model.predict(texts[:2])
    assert [set(line) for line in found] == [{"prediction", "scores"}] * 2
    assert found[0] == model.predict([{"sentence": texts[0]}])[0] == model.predict([(texts[0],)])[0]
    with pytest.raises(UsageError, match="a row has sentence; 2 given"):
        model.predict([("a", "b")])
    with pytest.raises(DataError, match="row 1"):
        model.predict([texts[0], texts[2]])


def test_what_the_command_line_would_print_is_raised(tmp_path: Path):
    with pytest.raises(UsageError, match="no command pretrain that takes a recipe") as told:
        nlptool.run("pretrain", "demo/bert")
    assert "pretrain-mlm" in (told.value.hint or "")
    with pytest.raises(RecipeError, match="unknown key"):
        nlptool.run("pretrain-mlm", "demo/bert", {"train.lrr": 1}, out=tmp_path)
    with pytest.raises(UsageError):
        nlptool.load(tmp_path / "nothing")
