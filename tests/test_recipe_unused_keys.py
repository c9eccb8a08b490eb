"""Keys that replace others, and keys without effect."""

from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.commands.corpus.recipe import Recipe as Corpus
from nlptool.commands.finetune.recipe import Recipe as Finetune
from nlptool.commands.pretrain.recipe import Recipe as Pretrain
from nlptool.commands.tokenize.recipe import Recipe as Tokenize
from nlptool.errors import RecipeError
from nlptool.recipe import RecipeBlock, catalog, dump, load
from nlptool.recipe.load import LoadedRecipe


def read(name: str, schema: type[RecipeBlock], *overrides: str) -> LoadedRecipe[RecipeBlock]:
    return load(catalog.find(name), overrides, schema)


@pytest.mark.parametrize(
    ("name", "schema", "override", "gone"),
    [
        ("demo/bert", Pretrain, "train.budget=1 epochs", "train.steps"),
        ("demo/bert", Pretrain, "init_from=runs/mine/final", "model"),
        (
            "demo/gpt2",
            Pretrain,
            "train.stages=[{sequence_length: 64, batch_size: 8, share: 1.0}]",
            "train.batch_size",
        ),
        ("demo/tokenize", Tokenize, "source.files=a.txt", "source.package"),
        ("demo/tokenize", Tokenize, "tokenizer.load=runs/mine/final", "tokenizer.vocab_size"),
        ("finetune/bert", Finetune, "train.steps=10", "train.epochs"),
    ],
)
def test_a_key_of_the_command_line_takes_the_place_of_those_it_excludes(
    name: str, schema: type[RecipeBlock], override: str, gone: str
):
    notes = read(name, schema, override).source.notes
    key = override.partition("=")[0]
    assert any(note.startswith(f"{key} takes the place of {gone} (") for note in notes)


def test_what_is_removed_is_not_given():
    stages = "train.stages=[{sequence_length: 64, batch_size: 8, share: 1.0}]"
    assert not read("demo/gpt2", Pretrain, "~train.batch_size", "~train.sequence_length", stages).source.notes
    read("demo/bert", Pretrain, "~train.stages", "train.batch_size=8")


def test_both_on_the_command_line_contradict_each_other(tmp_path: Path):
    with pytest.raises(RecipeError, match="give either steps or budget, not both"):
        read("demo/bert", Pretrain, "train.budget=1 epochs", "train.steps=3")
    for changes in (["init_from=a/b", "model.dropout=0"], ["model.dropout=0", "init_from=a/b"]):
        with pytest.raises(RecipeError, match=r"init_from brings its model, .*leave out model\.dropout"):
            read("demo/bert", Pretrain, *changes)
    (tmp_path / "on.yaml").write_text("extends: demo/bert\ninit_from: a/b\n")
    with pytest.raises(RecipeError, match=r"init_from brings its model, .*leave out model\.layers"):
        load(tmp_path / "on.yaml", ["model.layers=2"], Pretrain)
    with pytest.raises(RecipeError, match=r"quality: "):
        read("corpus/gpt3", Corpus, "quality.model=kept", "quality.positive.files=good.txt")


@pytest.mark.parametrize(
    ("name", "schema", "override"),
    [
        ("demo/bert", Pretrain, "train.batch_size=256"),
        ("demo/bert", Pretrain, "train.sequence_length=64"),
        ("demo/bert", Pretrain, "train.cooldown=0.3"),
        ("demo/tokenize", Tokenize, "source.split=test"),
        ("demo/tokenize", Tokenize, "sentences={split: line, language: ko}"),
        ("distill/tinybert-general", Pretrain, "objective.temperature=3"),
    ],
)
def test_an_override_that_changes_nothing_is_refused(name: str, schema: type[RecipeBlock], override: str):
    with pytest.raises(RecipeError, match="has no effect: "):
        read(name, schema, override)


def test_a_key_of_the_file_that_changes_nothing_is_refused_but_for_a_default(tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(dump(read("demo/bert", Pretrain).recipe))
    load(path, [], Pretrain)
    path.write_text(path.read_text().replace("batch_size: 32  # seq", "batch_size: 64  # seq", 1))
    with pytest.raises(RecipeError, match=r"recipe.yaml:\d+: train.batch_size: has no effect"):
        load(path, [], Pretrain)


def test_plan_has_an_example_that_works(capsys, monkeypatch: pytest.MonkeyPatch):
    assert main(["plan", "--help"]) == 0
    *_, name, change = " ".join(capsys.readouterr().out.split("E.g. nlptool plan ")[1].split()).split()[:2]
    read(name, Pretrain, change)


def test_a_dry_run_does_not_mind_what_the_folder_holds(tiny_recipe: Path, tiny_run: Path, capsys):
    before = sorted(tiny_run.rglob("*"))
    assert main(["pretrain-mlm", str(tiny_recipe), "--dry-run", "--out", str(tiny_run)]) == 0
    assert sorted(tiny_run.rglob("*")) == before
