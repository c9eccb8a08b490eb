"""`nlptool prompt RECIPE`: zero-, one- and few-shot evaluation of language models.

OUT/recipe.yaml command.txt environment.json   as of every run
OUT/answers/MODEL/TASK-5.jsonl                  each question: the prompt, and the model's responses
OUT/results.json results.md                     the metrics
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from nlptool import folder_kinds
from nlptool.models import hub
from nlptool.prompting.spec import Tasks, several
from nlptool.recipe import RESUMABLE, Problem, RecipeBlock

Shots = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    BeforeValidator(several, json_schema_input_type=int | tuple[int, ...]),
    Field(min_length=1, description="few-shot examples in each prompt; a list gives a run per number"),
]


class Recipe(RecipeBlock):
    """Models, tasks, and numbers of few-shot examples.

    All keys may change when a run is resumed: responses are cached by model and exact prompt.
    """

    models: Annotated[
        tuple[str, ...],
        BeforeValidator(several, json_schema_input_type=str | tuple[str, ...]),
        Field(min_length=1, description="Hugging Face folders, e.g. a run's final, or ids of the hub"),
    ] = Field(json_schema_extra=RESUMABLE)
    tasks: Tasks = Field(json_schema_extra=RESUMABLE)
    data: str | None = Field(
        None,
        description="folder with a folder or a file for each task, by its name; null: the hub",
        json_schema_extra=RESUMABLE,
    )
    num_fewshot: Shots = Field((0,), json_schema_extra=RESUMABLE)
    limit: int | None = Field(
        None,
        gt=0,
        description="evaluate only the first N instances of each task or part; null: all",
        json_schema_extra=RESUMABLE,
    )
    batch_size: int | None = Field(
        None,
        gt=0,
        description="prompts that are continued together, and texts that a masked model reads at once; null: 32, and "
        "as many as have 16,384 tokens; no result depends on it",
        json_schema_extra=RESUMABLE,
    )
    seed: int = Field(
        0,
        ge=0,
        description="seed of the few-shot examples and of synthetic rows",
        json_schema_extra=RESUMABLE,
    )
    contamination: str | None = Field(
        None,
        description="token store whose training text is searched for the instances: those that "
        "share an n-gram are scored "
        "separately",
        json_schema_extra=RESUMABLE,
    )
    out: str = Field(description="output folder", json_schema_extra=RESUMABLE)

    @model_validator(mode="after")
    def _different(self) -> Self:
        for key, names in {
            "models": self.models,
            "tasks": tuple(spec.name for spec in self.tasks),
            "num_fewshot": self.num_fewshot,
        }.items():
            if twice := [name for at, name in enumerate(names) if name in names[:at]]:
                apart = "; name one of them otherwise: {name: ..., task: ...}" if key == "tasks" else ""
                raise ValueError(f"{key}: {twice[0]} is given twice{apart}")
        return self


def check(recipe: Recipe, command: str) -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    if recipe.data is not None and not Path(recipe.data).is_dir():
        what = "is not a folder" if Path(recipe.data).exists() else "does not exist"
        problems.append(Problem("data", f"{recipe.data} {what}; a folder with one for each task is expected"))
    for at, spec in enumerate(recipe.tasks):
        if spec.data is not None and not Path(spec.data).exists():
            problems.append(Problem(f"tasks.{at}.data", f"no file or folder {spec.data}"))
        if spec.data is None and recipe.data is None and spec.task.source is None:
            problems.append(
                Problem(
                    f"tasks.{at}",
                    f"{spec.name} names no data set of the hub; give it data: FOLDER or a file",
                )
            )
    if recipe.contamination is not None and not (Path(recipe.contamination) / "store.json").exists():
        problems.append(
            Problem(
                "contamination",
                f"no token store at {recipe.contamination}: {folder_kinds.describe(Path(recipe.contamination))}",
            )
        )
    for at, model in enumerate(recipe.models):
        if wrong := hub.problem(model):
            problems.append(Problem(f"models.{at}", wrong))
    return problems
