"""`nlptool finetune RECIPE`: fine-tune a pretrained model on a labelled task, once per seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from nlptool import weights_record
from nlptool.errors import UsageError
from nlptool.models import hub
from nlptool.recipe import RESUMABLE, Named, Problem, RecipeBlock, RecipeSource
from nlptool.registry import DiscriminatedBy
from nlptool.runs.metrics_file import Tracker
from nlptool.tasks import inference
from nlptool.tasks.config import TaskConfig
from nlptool.train.config import FinetuneConfig, micro_batch_problems


def _seeds(given: Any) -> Any:
    """A number of seeds means the seeds from 0."""
    if type(given) is int and given > 0:
        return tuple(range(given))
    if isinstance(given, list | tuple) and given and all(type(seed) is int for seed in given):
        return given
    raise ValueError(
        f"expected how many seeds, at least 1, or the seeds themselves, such as [0, 1, 2]; found {given}"
    )


@dataclass(frozen=True)
class NamedOrData(Named):
    """Marks a task that may be given by its name, its file, or a file or folder of rows."""

    def source(self, given: str) -> RecipeSource:
        """The text of the task's file, or of a block that only names the rows."""
        if not inference.is_data(given):
            return super().source(given)
        place = f"task={given}"
        return RecipeSource(given, {"source": {"files": given}}, {"source": place, "source.files": place})

    def block(self, given: Any) -> Any:
        """The block behind a name; if it only names the rows, completed by inference from these."""
        if isinstance(given, str) and inference.is_data(given):
            given = self.source(given).data
        if isinstance(given, Mapping) and inference.needs_inference(given):
            return inference.inferred(given)
        return super().block(given)


TASKS = DiscriminatedBy("tasks")
Task = Annotated[TaskConfig, TASKS, NamedOrData(TASKS, "tasks", "task")]
Setting = bool | int | float | str
Seeds = Annotated[
    tuple[int, ...],
    Field(min_length=1),
    BeforeValidator(_seeds, json_schema_input_type=int | tuple[int, ...]),
]


class Dropout(RecipeBlock):
    """Dropout while fine-tuning."""

    hidden: float | None = Field(
        None, ge=0, lt=1, description="rate on hidden states; null: that of the model"
    )
    attention: float | None = Field(
        None, ge=0, lt=1, description="rate on attention probabilities; null: that of the model"
    )
    head: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="rate in the head of the task; null: 0.1, and 0.2 in DistilBERT's head on a whole text",
    )


class Evaluate(RecipeBlock):
    """Scores on the validation rows during training; each comes with a checkpoint."""

    every: int | None = Field(
        None,
        gt=0,
        description="steps between evaluations; null: once an epoch; the last step always has one",
        json_schema_extra=RESUMABLE,
    )
    select: Literal["best", "last"] = Field(
        "last",
        description="the result: the model of the last step, or of the best evaluation by the "
        "task's first metric; the score "
        "of best is optimistic, since it is selected on the rows that are scored",
        json_schema_extra=RESUMABLE,
    )
    patience: int | None = Field(
        None,
        gt=0,
        description="stop after this many evaluations without improvement; null: never; needs select: best",
        json_schema_extra=RESUMABLE,
    )

    @model_validator(mode="after")
    def _patience_for_the_best(self) -> Self:
        if self.patience is not None and self.select == "last":
            raise ValueError("patience needs select: best")
        return self

    @property
    def caption(self) -> str:
        """How the scores of a table were selected."""
        if self.select == "last":
            return "scores of the last step"
        return "scores of the best evaluation, chosen on the validation rows that are scored"


class Recipe(RecipeBlock):
    """A fine-tuning run, or several with different seeds."""

    task: Task = Field(
        description="a task's name, e.g. glue/sst2, the path of its file, or the block itself; or the rows: a file or "
        "folder whose columns tell the task"
    )
    data: str | None = Field(
        None,
        description="folder with a file for each split (train.jsonl, validation.tsv.gz, ...); null: the task's source",
    )
    init_from: str = Field(
        description="pretrained model: a Hugging Face folder, e.g. a run's final, or a hub id"
    )
    keep_head: bool = Field(
        False,
        description="whether to begin from the head of init_from, too, so that a fine-tuned model learns more rows of "
        "the same classes; else the head is new",
    )
    dropout: Dropout = Field(Dropout(), description="dropout rates")
    train: FinetuneConfig = Field(FinetuneConfig(), description="training")
    evaluate: Evaluate = Field(Evaluate(), description="evaluation during training")
    seeds: Seeds = Field(
        (0,),
        description="a run per seed, which sets the head, order and dropout; or the number of seeds, from 0",
        json_schema_extra=RESUMABLE,
    )
    grid: dict[str, tuple[Setting, ...]] = Field(
        {},
        description="values to try, all combinations with each seed, e.g. {train.lr: [5e-5, 3e-5], train.batch_size: "
        "[16, 32]}; the best is chosen by the mean of the task's first metric on the validation rows",
        json_schema_extra=RESUMABLE,
    )
    track: tuple[Tracker, ...] = Field(
        (), description="also log to: tensorboard, wandb", json_schema_extra=RESUMABLE
    )
    out: str = Field(description="output folder of the runs", json_schema_extra=RESUMABLE)

    @model_validator(mode="after")
    def _different_seeds(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds: different whole numbers, none below 0; or how many, at least 1")
        return self


def grid_points(recipe: Recipe) -> dict[str, Recipe]:
    """The recipe of each combination of a grid's values, by its name, which is also its folder's.

    Raises UsageError for a key that a grid cannot vary, and for an invalid value.
    """
    found = {}
    for values in product(*recipe.grid.values()):
        chosen = dict(zip(recipe.grid, values, strict=True))
        name = ",".join(f"{key.removeprefix('train.')}={value}" for key, value in chosen.items())
        block: dict[str, Any] = recipe.model_dump(mode="python") | {
            "grid": {},
            "out": str(Path(recipe.out) / "grid" / name.replace("/", "-")),
        }
        for key, value in chosen.items():
            *path, last = key.split(".")
            place = reduce(lambda inner, part: inner.get(part, {}), path, block)
            if path[:1] not in (["train"], ["dropout"]) or last not in place:
                raise UsageError(f"{key}: no key of train or dropout")
            place[last] = value
        try:
            found[name] = Recipe.model_validate(block)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return found


def check(recipe: Recipe, command: str) -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    task = recipe.task
    if recipe.grid:
        try:
            for point in grid_points(recipe).values():
                for problem in check(point, command):
                    problems.append(Problem("grid", f"{problem.path}: {problem.message}"))
        except UsageError as error:
            problems.append(Problem("grid", error.message))
    if recipe.data is None and not all(map(task.source_of, (*task.train_splits, *task.validation))):
        problems.append(Problem("data", "the task names no source of its own; name a folder with its files"))
    if recipe.data is not None and task.source is not None and task.source.files is not None:
        problems.append(Problem("data", "the task's source.files names its rows; leave one of the two out"))
    elif recipe.data is not None and not Path(recipe.data).is_dir():
        problems.append(Problem("data", f"no folder {recipe.data}"))
    if wrong := hub.origin_problem(recipe.init_from):
        problems.append(Problem("init_from", wrong))
    for key in task.folders:
        name = getattr(task, key)
        if name is not None and (why := weights_record.superseded_final(Path(name))):
            problems.append(Problem(f"task.{key}", why))
    problems += micro_batch_problems(recipe.train.batch_size, recipe.train.gradient_accumulation)
    if recipe.train.compile:
        problems.append(
            Problem(
                "train.compile", "batches have many lengths, and each would be compiled again; leave it out"
            )
        )
    return problems
