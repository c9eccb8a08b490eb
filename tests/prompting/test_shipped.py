"""Every shipped task reads its rows in the hub's form."""

import json
from pathlib import Path

import pytest
from examples import EXAMPLES

from nlptool.commands.prompt.recipe import Recipe
from nlptool.prompting.preprocess import preprocess
from nlptool.recipe import catalog, load
from nlptool.text.tabular import Row

TASKS = catalog.shipped("prompted-tasks")
MADE = {name for name in TASKS if "synthetic:" in TASKS[name].read_text("utf8")}


def task_of(name: str):
    changes = [f"tasks={name}", "models=m", "data=d"]
    return load(catalog.find("prompt/one"), changes, Recipe).recipe.tasks[0]


def test_every_shipped_task_has_an_example():
    assert set(EXAMPLES) | MADE == set(TASKS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_row_of_the_hub_is_asked_as_its_header_says(name: str):
    example, task = EXAMPLES[name], task_of(name).task
    (row,) = list(preprocess(Row("f:1", example.row), task.preprocess))[-1:]
    question = task.instance(row, "")
    prompts = (
        example.prompts if isinstance(example.prompts, tuple) else (example.prompts,) * len(question.answers)
    )
    assert question.prompts == prompts
    assert question.answers == example.answers
    assert question.gold == example.gold
    assert question.references == example.references
    assert len(task.requests(question, "")) >= 1


@pytest.mark.parametrize("name", TASKS)
def test_a_task_names_its_command_and_what_it_follows(name: str):
    header = "".join(line for line in TASKS[name].read_text("utf8").splitlines(True) if line.startswith("#"))
    assert f"nlptool prompt prompt/one tasks={name} " in header or f"{{task: {name}, data: FILE}}" in header
    assert any(word in header for word in ("lm-eval", "llm-foundry", "GPT-3")), (
        "whose form of the prompt it is"
    )
    assert task_of(name).name == name


@pytest.mark.parametrize("name", [name for name in EXAMPLES if not name.startswith("foundry/")])
def test_a_task_knows_its_data_set_on_the_hub(name: str):
    assert task_of(name).task.source.hub


def test_a_misspelt_task_is_compared_with_the_known(tmp_path: Path, capsys):
    from nlptool.cli import main

    (tmp_path / "r.yaml").write_text(json.dumps({"models": "m", "tasks": ["superglue/bolq"], "out": "o"}))
    assert main(["prompt", str(tmp_path / "r.yaml")]) == 2
    assert "did you mean superglue/boolq" in capsys.readouterr().err
