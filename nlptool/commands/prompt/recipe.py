"""`nlptool prompt RECIPE`: models are asked tasks by text alone, with no, one or several examples before the question.

OUT/recipe.yaml command.txt environment.json   as of every run
OUT/answers/MODEL/TASK-5.jsonl                  each question: the text that was read, and what the model made of it
OUT/results.json results.md                     the scores
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from nlptool import kinds
from nlptool.models import hub
from nlptool.prompting.config import PromptConfig
from nlptool.recipe import RESUMABLE, Named, Problem, RecipeBlock
from nlptool.registry import DiscriminatedBy


def _several(given: Any) -> Any:
    return given if isinstance(given, list | tuple) else (given,)


PROMPTS = DiscriminatedBy("prompting")
Task = Annotated[RecipeBlock, PROMPTS, Named(PROMPTS, "prompts", "prompted task")]


class Asked(RecipeBlock):
    """A task that the models are asked."""

    name: str = Field("", description="what it is called in tables and folders; of a task by name, its name")
    task: Task = Field(
        description="a task's name, e.g. superglue/boolq, the path of its file, or the block itself"
    )
    data: str | None = Field(
        None, description="its own folder with a file for each split, or the file of its questions"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        block = {"task": given} if isinstance(given, str) else given
        if isinstance(block, dict) and isinstance(block.get("task"), str) and "name" not in block:
            path = Path(block["task"])
            return {"name": path.stem if path.is_file() else block["task"].removesuffix(".yaml"), **block}
        return block

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            raise ValueError("name: a task that is written out needs one")
        return self

    @property
    def config(self) -> PromptConfig:
        """The task, as what it is."""
        assert isinstance(self.task, PromptConfig)
        return self.task


Tasks = Annotated[
    tuple[Asked, ...],
    BeforeValidator(_several, json_schema_input_type=str | Asked | tuple[str | Asked, ...]),
    Field(min_length=1, description="names, paths, or blocks with task and data"),
]
Shots = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    BeforeValidator(_several, json_schema_input_type=int | tuple[int, ...]),
    Field(min_length=1, description="demonstrations before a question; each number is a run of its own"),
]


class Recipe(RecipeBlock):
    """Models, tasks, and how many demonstrations stand before a question.

    All of it may change where a run is resumed: answers are kept by the model and the very text that they answer.
    """

    models: Annotated[
        tuple[str, ...],
        BeforeValidator(_several, json_schema_input_type=str | tuple[str, ...]),
        Field(min_length=1, description="Hugging Face folders, e.g. a run's final, or ids of the hub"),
    ] = Field(json_schema_extra=RESUMABLE)
    tasks: Tasks = Field(json_schema_extra=RESUMABLE)
    data: str | None = Field(
        None,
        description="folder with a folder or a file for each task, by its name; null: the hub",
        json_schema_extra=RESUMABLE,
    )
    shots: Shots = Field((0,), json_schema_extra=RESUMABLE)
    limit: int | None = Field(
        None,
        gt=0,
        description="questions of each task or part, the first ones; null: all",
        json_schema_extra=RESUMABLE,
    )
    seed: int = Field(
        0,
        ge=0,
        description="draws the demonstrations, and the rows that are made by a rule",
        json_schema_extra=RESUMABLE,
    )
    contamination: str | None = Field(
        None,
        description="a token store, in whose training text the questions are searched: those with a run of words in "
        "common are scored apart",
        json_schema_extra=RESUMABLE,
    )
    out: str = Field(description="folder of the results", json_schema_extra=RESUMABLE)

    @model_validator(mode="after")
    def _different(self) -> Self:
        for key, names in {
            "models": self.models,
            "tasks": tuple(asked.name for asked in self.tasks),
            "shots": self.shots,
        }.items():
            if twice := [name for at, name in enumerate(names) if name in names[:at]]:
                apart = "; name one of them otherwise: {name: ..., task: ...}" if key == "tasks" else ""
                raise ValueError(f"{key}: {twice[0]} is given twice{apart}")
        return self


def check(recipe: Recipe, command: str) -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    if recipe.data is not None and not Path(recipe.data).is_dir():
        what = "is no folder" if Path(recipe.data).exists() else "does not exist"
        problems.append(Problem("data", f"{recipe.data} {what}; a folder with one for each task is expected"))
    for at, asked in enumerate(recipe.tasks):
        if asked.data is not None and not Path(asked.data).exists():
            problems.append(Problem(f"tasks.{at}.data", f"no file or folder {asked.data}"))
        if asked.data is None and recipe.data is None and asked.config.source is None:
            problems.append(
                Problem(
                    f"tasks.{at}",
                    f"{asked.name} names no data set of the hub; give it data: FOLDER or a file",
                )
            )
    if recipe.contamination is not None and not (Path(recipe.contamination) / "store.json").exists():
        problems.append(
            Problem(
                "contamination",
                f"no token store at {recipe.contamination}: {kinds.told(Path(recipe.contamination))}",
            )
        )
    for at, model in enumerate(recipe.models):
        if wrong := hub.problem(model):
            problems.append(Problem(f"models.{at}", wrong))
    return problems
