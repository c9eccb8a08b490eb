"""Another tokenizer of the same size is refused for every combination of model, store and run."""

import json
import shutil
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.errors import DataError
from nlptool.text import tokenizer_json
from nlptool.text.tokenizer import Tokenizer

WORD = "the old river reads a bell."


def swapped(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokens, of which two have changed places: as many, but other ids."""
    content = json.loads(json.dumps(tokenizer.content))
    vocab = content["model"]["vocab"]
    a, b = (tokenizer.tokens[token] for token in tokenizer.encode(WORD)[1:3])
    vocab[a], vocab[b] = vocab[b], vocab[a]
    special = {role: tokenizer.tokens[number] for role, number in tokenizer.special.items()}
    return Tokenizer(content, special, tokenizer.max_length)


@pytest.fixture
def other_store(tiny_store: Path, tmp_path: Path) -> Path:
    """A store with another tokenizer of the same size put into it."""
    store = shutil.copytree(tiny_store, tmp_path / "other")
    swapped(Tokenizer.load(store / "tokenizer")).save(store / "tokenizer")
    return store


def test_what_differs_between_two_tokenizers_is_named(tiny_store: Path):
    one = Tokenizer.load(tiny_store / "tokenizer")
    assert tokenizer_json.difference(one, one.framed()) is None
    assert tokenizer_json.difference(one, one.bare()) is None
    assert str(tokenizer_json.difference(one, swapped(one))).startswith("token ")
    merges = one.content["model"]["merges"]
    model = one.content["model"] | {"merges": [merges[1], merges[0], *merges[2:]]}
    other = Tokenizer(one.content | {"model": model})
    assert tokenizer_json.difference(one, other) == "the same tokens, but they merge texts differently"
    lower = Tokenizer(one.content | {"normalizer": {"type": "Lowercase"}})
    assert tokenizer_json.difference(one, lower) == "the same tokens, but they normalise texts differently"


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "{run}/final", "--store", "{other}"),
        ("pretrain-mlm", "{recipe}", "store={other}", "--out", "{tmp}/new"),
        ("tokenize", "demo/tokenize", "~tokenizer", "tokenizer.load={other}", "--out", "{tmp}/again"),
    ],
)
def test_a_store_with_another_tokenizer_is_refused(
    command: tuple[str, ...], tiny_run: Path, other_store: Path, tiny_recipe: Path, tmp_path: Path, capsys
):
    places = {"run": tiny_run, "other": other_store, "recipe": tiny_recipe, "tmp": tmp_path}
    assert main([word.format(**places) for word in command]) == 3
    assert f"is not the tokenizer that {other_store} was made with" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_model_carries_its_tokenizer_s_fingerprint_and_another_is_refused(
    tiny_run: Path, tmp_path: Path, capsys
):
    final = shutil.copytree(tiny_run / "final", tmp_path / "final")
    tokenizer = Tokenizer.load(final)
    settings = json.loads((final / "config.json").read_text())
    assert settings["tokenizer_fingerprint"] == tokenizer.fingerprint
    assert Tokenizer.of_model(final, settings["vocab_size"]).fingerprint == tokenizer.fingerprint
    swapped(tokenizer).save(final)
    with pytest.raises(DataError, match="not the one that the model was trained with") as raised:
        Tokenizer.of_model(final, settings["vocab_size"])
    assert "remove tokenizer_fingerprint from config.json" in str(raised.value.hint)
    assert main(["fill-mask", str(final), "the [MASK] reads."]) == 3


def test_weights_of_another_tokenizer_are_not_trained_on(
    tiny_run: Path, other_store: Path, tiny_recipe: Path, tmp_path: Path, capsys
):
    own = Tokenizer.load(other_store / "tokenizer")
    facts = json.loads((other_store / "store.json").read_text())
    (other_store / "store.json").write_text(json.dumps(facts | {"fingerprint": own.fingerprint}))
    bare = shutil.copytree(tiny_run / "final", tmp_path / "bare")
    for path in (*bare.glob("tokenizer*"), *bare.glob("special*")):
        path.unlink()
    for start, why in ((tiny_run / "final", "token "), (bare, "the fingerprint differs")):
        run = [str(tiny_recipe), "~model", f"init_from={start}", f"store={other_store}", "--dry-run"]
        assert main(["pretrain-mlm", *run]) == 3
        told = " ".join(capsys.readouterr().err.split())
        assert f"{start}: its tokenizer is not that of {other_store}: {why}" in told
        assert f"tokenizer.load={start}" in told


def test_what_transformers_saves_again_keeps_the_fingerprint(tiny_run: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    again = tmp_path / "again"
    transformers.AutoModelForMaskedLM.from_pretrained(tiny_run / "final").save_pretrained(again)
    transformers.AutoTokenizer.from_pretrained(tiny_run / "final").save_pretrained(again)
    known = json.loads((again / "config.json").read_text())["tokenizer_fingerprint"]
    assert Tokenizer.load(again).fingerprint == known


def test_a_store_made_anew_in_the_same_place_is_not_resumed_with(
    tiny_store: Path, tiny_recipe: Path, tmp_path: Path, capsys
):
    store = shutil.copytree(tiny_store, tmp_path / "store")
    run = [str(tiny_recipe), f"store={store}", "train.steps=4", "evaluate.every=4"]
    assert main(["pretrain-mlm", *run]) == 0
    assert main(["pretrain-mlm", *run, "--resume", "auto"]) == 0
    facts = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(facts | {"corpus": "of other text"}))
    capsys.readouterr()
    assert main(["pretrain-mlm", *run, "--resume", "auto"]) == 3
    told = " ".join(capsys.readouterr().err.split())
    assert f"{store}: is not the token store that {tmp_path / 'run'} began with" in told
    state = json.loads((tmp_path / "run" / "checkpoints" / "step-00000004" / "state.json").read_text())
    assert state["models"] == json.loads((tmp_path / "run" / "environment.json").read_text())["models"]
    (tmp_path / "run" / "environment.json").unlink()
    assert main(["pretrain-mlm", *run, "--resume", "auto"]) == 3
