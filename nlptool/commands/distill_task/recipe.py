"""`nlptool distill-task RECIPE`: distil a fine-tuned model into a smaller one on a labelled task, as TinyBERT does."""

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import Field, model_validator

from nlptool.commands.finetune import recipe as finetune
from nlptool.commands.finetune.recipe import Dropout, Evaluate, Seeds, Task
from nlptool.models import hub
from nlptool.models.config import ModelConfig
from nlptool.recipe import RESUMABLE, Problem, RecipeBlock
from nlptool.registry import DiscriminatedBy
from nlptool.runs.metrics_file import Tracker
from nlptool.tasks.marked_text import LinkedTaskConfig
from nlptool.train.config import FinetuneConfig


class Augment(RecipeBlock):
    """Copies of the training rows for the teacher to label, some words replaced (Jiao et al. 2020, algorithm 1)."""

    copies_per_row: int = Field(
        20, gt=0, description="copies of each row; of each of its texts, where a row has several"
    )
    probability: float = Field(0.4, gt=0, le=1, description="probability with which a word is replaced")
    candidates: int = Field(15, gt=0, description="number of candidate words to sample from")
    model: str | None = Field(
        None,
        description="masked language model that proposes candidates: a Hugging Face folder or hub "
        "id; null: the nearest "
        "words by the teacher's embeddings",
    )


class Recipe(RecipeBlock):
    """One distillation, or several with different seeds: intermediate layers first, then predictions.

    FLOPs are those of each stage's steps; in the first one the teacher reads each batch, too. Its logits for the
    second stage are computed once, for all epochs and seeds, and this is not in any run's FLOPs.
    """

    replaces = MappingProxyType(
        {
            "init_from": ("layers", "model"),
            "layers": ("init_from", "model"),
            "model": ("init_from", "layers"),
        }
    )

    task: Task = Field(description="a task's name, e.g. glue/sst2, the path of its file, or the block itself")
    data: str | None = Field(
        None,
        description="folder with a file for each split (train.jsonl, validation.tsv.gz, ...); null: the hub",
    )
    teacher: str = Field(description="model fine-tuned on the task: final/ of a finetune run, or a hub id")
    init_from: str | None = Field(
        None, description="initial student: a Hugging Face folder or hub id; or give layers, or model"
    )
    layers: int | None = Field(
        None,
        gt=0,
        description="in place of init_from: number of the teacher's layers that initialise the student",
    )
    model: Annotated[ModelConfig, DiscriminatedBy("models")] | None = Field(
        None,
        description="in place of init_from: the student's architecture, randomly initialised; it "
        "uses the teacher's tokenizer",
    )
    augment: Augment | None = Field(None, description="copies of the training rows; null: none")
    dropout: Dropout = Field(Dropout(), description="the student's dropout rates; the teacher has none")
    intermediate: FinetuneConfig | None = Field(
        FinetuneConfig(epochs=10, lr=5e-5, warmup=0, schedule="constant"),
        description="stage 1: hidden states and attention match the teacher's; null: skip it",
    )
    prediction: FinetuneConfig = Field(
        FinetuneConfig(lr=3e-5), description="stage 2: predictions match the teacher's"
    )
    evaluate: Evaluate = Field(
        Evaluate(),
        description="evaluation during training; patience applies to the second stage and the baseline student",
    )
    baseline_student: bool = Field(
        False,
        description="also train the same student on the labels alone, for as many steps",
        json_schema_extra=RESUMABLE,
    )
    seeds: Seeds = Field(
        (0,),
        description="a run per seed, which sets order and dropout; or the number of seeds, from 0",
        json_schema_extra=RESUMABLE,
    )
    track: tuple[Tracker, ...] = Field(
        (), description="also log to: tensorboard, wandb", json_schema_extra=RESUMABLE
    )
    out: str = Field(description="output folder of the runs", json_schema_extra=RESUMABLE)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds: different whole numbers, none below 0; or how many, at least 1")
        given = [key for key in ("init_from", "layers", "model") if getattr(self, key) is not None]
        if len(given) != 1:
            one = "give one of init_from, layers and model"
            raise ValueError(f"{one}, not {' and '.join(given)}" if given else one)
        return self

    def tuning(self, train: FinetuneConfig, start: str, out: Path) -> finetune.Recipe:
        """The recipe of one stage in the form of fine-tuning."""
        shared = {
            name: getattr(self, name) for name in ("task", "data", "dropout", "evaluate", "seeds", "track")
        }
        return finetune.Recipe.model_construct(**shared, train=train, init_from=start, out=str(out))


def check(recipe: Recipe, command: str) -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems: dict[Problem, None] = {}
    if not recipe.task.one_decision:
        message = (
            "tasks of this kind are not distilled; one that chooses a class is expected, such as glue/sst2"
        )
        problems[Problem("task", message)] = None
    if recipe.augment and isinstance(recipe.task, LinkedTaskConfig) and recipe.task.graph is not None:
        message = "words are replaced, and links to the graph would be lost; leave augment or task.graph out"
        problems[Problem("augment", message)] = None
    masked_lm = recipe.augment.model if recipe.augment else None
    if masked_lm is not None and (wrong := hub.origin_problem(masked_lm)):
        problems[Problem("augment.model", wrong)] = None
    stages = {"intermediate": recipe.intermediate, "prediction": recipe.prediction}
    models = {"teacher": recipe.teacher, "init_from": recipe.init_from or recipe.teacher}
    for stage, train in stages.items():
        for model, name in models.items():
            if train is not None:
                for problem in finetune.check(recipe.tuning(train, name, Path(recipe.out)), command):
                    first, dot, rest = problem.path.partition(".")
                    path = {"init_from": model, "train": stage}.get(first, first) + dot + rest
                    problems[Problem(path, problem.message)] = None
    if recipe.model is not None:
        for problem in recipe.task.check(recipe.model):
            problems[Problem("model.name", problem.message)] = None
        for stage, train in stages.items():
            most = recipe.model.max_positions
            if train is not None and train.sequence_length > most:
                text = (
                    f"{train.sequence_length} tokens are more than model.max_positions ({most}); "
                    "set one to the other"
                )
                problems[Problem(f"{stage}.sequence_length", text)] = None
    return [p for p in problems if recipe.init_from or p.path != "init_from"]
