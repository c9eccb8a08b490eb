"""A suite: tasks for comparing models, in one file, for `evaluate` and `compare`. Nothing heavy here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from nlptool.commands.finetune.recipe import Dropout, Evaluate, Recipe, Seeds
from nlptool.commands.prompt import recipe as prompt
from nlptool.commands.prompt.recipe import Shots
from nlptool.errors import UsageError
from nlptool.prompting.spec import Tasks
from nlptool.recipe import RecipeBlock, catalog, load, short_name
from nlptool.train.config import FinetuneConfig


class FinetuneSection(RecipeBlock):
    """Tasks on which every model is fine-tuned in the same way."""

    tasks: tuple[str, ...] = Field(
        min_length=1, description="names of tasks, e.g. glue/sst2, or paths of their files"
    )
    exclude_from_mean: tuple[str, ...] = Field(
        (), description="tasks excluded from the mean; a second mean includes them"
    )
    dropout: Dropout = Field(Dropout(), description="dropout rates")
    train: FinetuneConfig = Field(FinetuneConfig(), description="training")
    evaluate: Evaluate = Field(Evaluate(), description="scores during training")
    seeds: Seeds = Field((0, 1, 2), description="a run per seed, or the number of seeds, from 0")

    @model_validator(mode="after")
    def _excluded_are_there(self) -> Self:
        if other := [name for name in self.exclude_from_mean if name not in self.tasks]:
            raise ValueError(f"exclude_from_mean: {other[0]} is none of the tasks")
        if set(self.exclude_from_mean) == set(self.tasks):
            raise ValueError("exclude_from_mean: leaves no task for the mean")
        return self


class PromptSection(RecipeBlock):
    """Tasks with which every model is prompted."""

    tasks: Tasks
    num_fewshot: Shots = (0,)
    limit: int | None = Field(
        None, gt=0, description="evaluate only the first N instances of each task or part; null: all"
    )
    seed: int = Field(0, ge=0, description="seed of the few-shot examples")


class Suite(RecipeBlock):
    """Tasks for comparing models."""

    data: str | None = Field(
        None,
        description="folder that holds a folder for each task, e.g. glue/sst2; null: the task's source",
    )
    finetune: FinetuneSection | None = Field(None, description="tasks to fine-tune on")
    prompt: PromptSection | None = Field(None, description="tasks for prompting")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.finetune is None and self.prompt is None:
            raise ValueError("give finetune, prompt or both")
        return self


class SuiteTask(NamedTuple):
    """A task to fine-tune on."""

    task: str
    recipe: Recipe
    """`init_from` and `out` are filled in for each model."""
    excluded: bool
    """From the mean."""


class ResolvedSuite(NamedTuple):
    """A suite as recipes."""

    tuned: list[SuiteTask]
    prompted: prompt.Recipe | None
    """`models` and `out` are filled in for each model."""

    @property
    def caption(self) -> str:
        """How the scores of its table were selected."""
        parts = ["in per cent"]
        parts += [task.recipe.evaluate.caption for task in self.tuned[:1]]
        parts += ["± is the deviation between seeds"] if self.tuned else []
        parts += ["± is the standard error of prompted tasks"] if self.prompted else []
        return "; ".join(parts)


def read(argument: str, data: str | None) -> ResolvedSuite:
    """The tasks of a suite, by path or name. data: replaces the suite's own.

    Raises RecipeError for an invalid file of the suite or a task, UsageError for a task without rows.
    """
    change = () if data is None else (f"data={json.dumps(data)}",)
    suite = load(catalog.find(argument, "suites"), change, Suite).recipe
    tuned = [] if suite.finetune is None else [_suite_task(name, suite) for name in suite.finetune.tasks]
    if suite.prompt is None:
        return ResolvedSuite(tuned, None)
    prompted = prompt.Recipe(data=suite.data, models=("-",), out="-", **dict(suite.prompt))
    problems = [
        problem for problem in prompt.check(prompted, "prompt") if not problem.path.startswith("models")
    ]
    if problems:
        raise UsageError(f"{argument}: {problems[0].path}: {problems[0].message}")
    return ResolvedSuite(tuned, prompted)


def _suite_task(name: str, suite: Suite) -> SuiteTask:
    catalog.find(name, "tasks")
    task, tuning = short_name(name), suite.finetune
    assert tuning is not None
    settings: Mapping[str, object] = {
        "task": name,
        "data": None if suite.data is None else str(_folder(Path(suite.data), task)),
        "init_from": "-",
        "dropout": tuning.dropout,
        "train": tuning.train,
        "evaluate": tuning.evaluate,
        "seeds": tuning.seeds,
        "out": "-",
    }
    recipe = Recipe.model_validate(settings)
    if suite.data is None and recipe.task.source is None:
        raise UsageError(
            f"{task}: names no source of its own",
            hint=f"--data FOLDER, in which {task}/ holds its files",
        )
    return SuiteTask(task, recipe, name in tuning.exclude_from_mean)


def _folder(data: Path, task: str) -> Path:
    for name in (task, task.rpartition("/")[2]):
        if (data / name).is_dir():
            return data / name
    raise UsageError(f"{data}: holds no folder {task}", hint=f"put the files of the task into {data / task}")
