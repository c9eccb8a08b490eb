"""Blocks given by name, and changes of their keys."""

from pathlib import Path

import pytest

from nlptool.commands.finetune.recipe import Recipe
from nlptool.errors import RecipeError
from nlptool.recipe import load


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("task: squad/v1\ninit_from: model\nout: run\n")
    return path


def test_a_key_of_a_named_task_is_changed_alone(recipe: Path):
    plain = load(recipe, [], Recipe).recipe.task.model_dump()
    changed = load(recipe, ["task.max_query_length=32"], Recipe).recipe.task.model_dump()
    assert changed == plain | {"max_query_length": 32}


def test_a_name_on_the_command_line_may_be_followed_by_keys_of_its_block(recipe: Path):
    task = load(recipe, ["task=glue/mrpc", "task.metrics=[f1]", "~task.score"], Recipe).recipe.task
    assert task.metrics == ("f1",)
    assert task.score == ()
    assert task.train == "train"


def test_a_key_that_the_named_task_does_not_have_is_told_with_the_nearest(recipe: Path):
    with pytest.raises(
        RecipeError, match=r"task\.max_qury_length=3: unknown key; did you mean max_query_len"
    ):
        load(recipe, ["task.max_qury_length=3"], Recipe)


def test_a_fault_in_the_file_of_a_task_names_that_file_also_where_a_key_is_changed(recipe: Path):
    own = recipe.with_name("own.yaml")
    own.write_text("name: extractive_qa\nmetric: [squad_f1]\n")
    with pytest.raises(RecipeError, match=r"own\.yaml:2: .*metric: unknown key"):
        load(recipe, [f"task={own}", "task.doc_stride=3"], Recipe)


def test_a_key_of_a_task_that_is_not_there_names_the_task(recipe: Path):
    with pytest.raises(RecipeError, match="task: nope: no such task"):
        load(recipe, ["task=nope", "task.doc_stride=3"], Recipe)


def test_how_long_a_list_must_be_is_told_of_the_list(recipe: Path):
    with pytest.raises(
        RecipeError, match="metrics: missing; expected a list of at least 1 entry, each entry one"
    ):
        load(recipe, ["task={name: classification, inputs: [a], labels: [b, c]}"], Recipe)
