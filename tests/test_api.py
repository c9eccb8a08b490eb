"""nlptool from Python."""

import pydoc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nlptool
from nlptool import notices
from nlptool.errors import DataError, RecipeError, UsageError

ROOT = Path(__file__).parents[1]

WRONG: tuple[tuple[Callable[[Any], object], str], ...] = (
    (lambda model: model.score("The"), "texts: a list of texts is expected; found one text, 'The'"),
    (lambda model: model.embed(["The", None]), r"texts\[1\]: a text is expected; found None"),
    (lambda model: model.embed(["The"], layers=-1), "layers: a list is expected; found -1"),
    (lambda model: model.embed(["The"], layers=[]), "layers: none is given"),
    (lambda model: model.embed(["The"], pooling="max"), "pooling max: one of cls, mean, last"),
    (lambda model: model.fill_mask(["[MASK]"]), "text: a text is expected"),
    (
        lambda model: model.fill_mask("[MASK]", top_k=0),
        "top_k: a whole number of at least 1 is expected; found 0",
    ),
    (lambda model: model.generate(["The"], max_new_tokens=0), "max_new_tokens: .*above 0; found 0"),
    (
        lambda model: model.generate(["The"], top_p=2, temperature=-1),
        "temperature: .*; top_p: .*at most 1; found 2",
    ),
    (lambda model: model.generate(["The"], top_p=0.9), "top_p has no effect here"),
    (lambda model: model.generate(["The"], stop="."), "stop: a list of texts is expected"),
    (lambda model: nlptool.load(""), "a model is a folder or hf://OWNER/NAME"),
)
"""What a model is asked amiss, and what is told."""


def test_names_are_there_and_others_are_not():
    assert set(nlptool.__all__) == {"Model", "load", "run"}
    assert "fill_mask(self, text" in pydoc.render_doc(nlptool, renderer=pydoc.plaintext)
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
    with ThreadPoolExecutor(4) as threads:  # the model is loaded once
        found = threads.map(
            lambda way: model.embed(["The old man", "", "강"], pooling=way), [None, "mean"] * 4
        )
        assert all((one == other).all() for one, other in pairwise(found))
    assert len(model._embedders) == 1
    vectors = model.embed(["The old man", "", "강"])
    assert vectors.shape == (3, 128)
    assert np.isfinite(vectors).all()
    told: list[str] = []
    notices.speak_by(told.append)
    model.embed(["The old man", "강 " * 2000])
    notices.speak_by(notices.warn)
    assert told == ["1 text cut to 64 tokens, which the model reads at most"]
    with pytest.raises(Exception, match="decoder"):
        model.generate(["The"])
    for wrong, told in WRONG:
        with pytest.raises(UsageError, match=told):
            wrong(model)


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
    for one in (texts[0], {"sentence": texts[0]}):
        with pytest.raises(UsageError, match="a list of rows is expected; found one"):
            model.predict(one)
    with pytest.raises(UsageError, match=r"row 1: .* found None"):
        model.predict([texts[0], None])  # type: ignore[list-item]
    told: list[str] = []
    notices.speak_by(told.append)
    model.predict([texts[0], "강 " * 2000])
    notices.speak_by(notices.warn)
    assert told == ["1 row: the text has more than 16 tokens and is cut"]
    with ThreadPoolExecutor(4) as threads:  # which may set no signal handlers, and share one model
        assert list(threads.map(model.predict, [texts[:2]] * 8)) == [found] * 8
    with pytest.raises(UsageError, match="a row has sentence; 2 given"):
        model.predict([("a", "b")])
    with pytest.raises(DataError, match="row 1"):
        model.predict([texts[0], texts[2]])


def test_what_the_command_line_would_print_is_raised(tmp_path: Path):
    with pytest.raises(UsageError, match="no command pretrain that takes a recipe") as told:
        nlptool.run("pretrain", "demo/bert")
    assert "pretrain-mlm" in (told.value.hint or "")
    with pytest.raises(UsageError, match=r"changes by key; found 'demo/bert' and \['a'\]"):
        nlptool.run("pretrain-mlm", "demo/bert", ["a"])  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="unknown key"):
        nlptool.run("pretrain-mlm", "demo/bert", {"train.lrr": 1}, out=tmp_path)
    with pytest.raises(UsageError):
        nlptool.load(tmp_path / "nothing")
