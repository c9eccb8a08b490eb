"""Recipes that extend another: inherited and replaced keys, and the places of errors."""

from pathlib import Path

import pytest

from nlptool.commands.finetune.recipe import Recipe as Tuning
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.errors import RecipeError
from nlptool.recipe import catalog, load


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{next(iter(files))}.yaml"


def test_blocks_are_merged_and_lists_and_values_replaced(tmp_path: Path):
    path = written(
        tmp_path,
        own="extends: demo/bert\nobjective: {mask_split: [1, 0, 0]}\ntrain: {lr: 0.003}\nout: runs/own",
    )
    own, base = load(path, (), Recipe), load(catalog.find("demo/bert"), (), Recipe)
    expected = base.recipe.model_dump()
    expected["objective"]["mask_split"] = (1.0, 0.0, 0.0)
    expected["train"]["lr"] = 0.003
    expected["out"] = "runs/own"
    assert own.recipe.model_dump() == expected
    assert own.source.place("train.lr").endswith("own.yaml:3")
    assert "demo/bert.yaml:" in own.source.place("train.steps")


def test_a_block_of_another_kind_takes_the_place_of_the_inherited(tmp_path: Path):
    path = written(tmp_path, own="extends: demo/bert\nmodel: {name: albert}")
    assert load(path, (), Recipe).recipe.model == load(path, ["model={name: albert}"], Recipe).recipe.model


def test_a_key_takes_the_place_of_inherited_ones_that_it_excludes(tmp_path: Path):
    path = written(
        tmp_path,
        own="extends: middle.yaml\ninit_from: hf://a/b",
        middle="extends: demo/bert\ntrain: {budget: 1 epoch}",
    )
    loaded = load(path, (), Recipe)
    assert loaded.recipe.model is None
    assert loaded.recipe.train.steps is None
    assert str(loaded.recipe.train.budget) == "1 epochs"
    assert loaded.source.notes == []
    again = load(path, ["train.steps=7"], Recipe)
    assert again.recipe.train.budget is None
    assert "train.steps takes the place of" in again.source.notes[0]
    with pytest.raises(RecipeError, match="budget"):  # in one file, both are the user's own words
        load(written(tmp_path, both="extends: demo/bert\ntrain: {budget: 1 epoch, steps: 7}"), (), Recipe)


def test_a_file_beside_the_recipe_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written(tmp_path, base="extends: demo/finetune\ntrain: {epochs: 9}")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = written(tmp_path, 내것="extends: base.yaml\ntrain: {lr: 1e-5}")
    assert (load(path, (), Tuning).recipe.train.epochs, load(path, (), Tuning).recipe.train.lr) == (9, 1e-5)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a": "extends: [demo/bert]"},
            r"a.yaml:1: extends: expected one recipe's name or path, found \[\"demo/bert\"\]",
        ),
        ({"a": "extends: demo/bret"}, "a.yaml:1: extends: demo/bret: no such recipe"),
        (
            {"a": "extends: b.yaml", "b": "\nextends: a.yaml"},
            "b.yaml:2: extends: a.yaml extends this recipe itself",
        ),
        ({"a": "extends: a.yaml"}, "a.yaml:1: extends: a.yaml extends this recipe itself"),
        (
            {"a": "extends: b.yaml\nout: x", "b": "extends: demo/bert\ntrain: {lr: fast}"},
            "b.yaml:2: train.lr: expected",
        ),
        ({"a": "extends: demo/bert\ntrain: {batch: 3}"}, "a.yaml:2: train.batch"),
        ({"a": "extends: demo/bert\nout: x\nout: y"}, "a.yaml:3: out: given twice"),
        ({"a": "extends: b.yaml", "b": "out: x\nout: y\nextends: demo/bert"}, "b.yaml:2: out: given twice"),
    ],
)
def test_errors_name_the_file_that_is_wrong(
    files: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=message):
        load(written(tmp_path, **files), (), Recipe)


def test_a_chain_has_an_end(tmp_path: Path):
    files = {f"r{n}": f"extends: r{n + 1}.yaml" for n in range(20)}
    with pytest.raises(RecipeError, match="more than 10 recipes"):
        load(written(tmp_path, **files), (), Recipe)


def test_the_command_line_extends_nothing(tmp_path: Path):
    with pytest.raises(RecipeError, match="a recipe's file extends another"):
        load(written(tmp_path, a="extends: demo/bert"), ["extends=bert/base"], Recipe)
