"""A suite: tasks that models are compared by, in one file, for `evaluate` and `compare`. Nothing heavy here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from nlptool.commands.finetune import Dropout, Evaluate, Recipe, Seeds
from nlptool.errors import UsageError
from nlptool.recipe import Block, load, shelf
from nlptool.train.config import Tune


class Tuning(Block):
    """Tasks that every model is fine-tuned on, all in the same way."""

    tasks: tuple[str, ...] = Field(
        min_length=1, description="names of tasks, e.g. glue/sst2, or paths of their files"
    )
    dropout: Dropout = Field(Dropout(), description="dropout rates")
    train: Tune = Field(Tune(), description="how a net is fine-tuned")
    evaluate: Evaluate = Field(Evaluate(), description="scores during training")
    seeds: Seeds = Field((0, 1, 2), description="a run for each, or how many of them, from 0")


class Suite(Block):
    """What models are compared by."""

    data: str | None = Field(
        None, description="folder that holds a folder for each task, e.g. glue/sst2; null: the hub"
    )
    finetune: Tuning = Field(description="tasks to fine-tune on")


class Exam(NamedTuple):
    """One task of a suite."""

    task: str
    recipe: Recipe
    """`start` and `out` are to be filled in for each model."""


def read(argument: str, data: str | None) -> list[Exam]:
    """The tasks of a suite, by path or name. data: in place of the suite's own.

    Raises RecipeError for what is wrong in its file or in that of a task, UsageError for a task without rows.
    """
    loaded = load(
        shelf.find(argument, "suites"), () if data is None else (f"data={json.dumps(data)}",), Suite
    )
    suite, tuning = loaded.recipe, loaded.recipe.finetune
    exams = []
    for name in tuning.tasks:
        shelf.find(name, "tasks")
        task = _name(name)
        settings: Mapping[str, object] = {
            "task": name,
            "data": None if suite.data is None else str(_folder(Path(suite.data), task)),
            "start": "-",
            "dropout": tuning.dropout,
            "train": tuning.train,
            "evaluate": tuning.evaluate,
            "seeds": tuning.seeds,
            "out": "-",
        }
        recipe = Recipe.model_validate(settings)
        if suite.data is None and recipe.config.source is None:
            raise UsageError(
                f"{task}: names no data set of the hub",
                hint=f"--data FOLDER, in which {task}/ holds its files",
            )
        exams.append(Exam(task, recipe))
    return exams


def _name(task: str) -> str:
    """A task's name, of a file its own name."""
    path = Path(task)
    return path.stem if path.is_file() else task.removesuffix(".yaml")


def _folder(data: Path, task: str) -> Path:
    for name in (task, task.rpartition("/")[2]):
        if (data / name).is_dir():
            return data / name
    raise UsageError(f"{data}: holds no folder {task}", hint=f"put the files of the task into {data / task}")
