"""Pretraining on a token store: one command for every objective, named after it (`pretrain-mlm`), and `distill`."""

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from nlptool import folder_kinds, registry, weights_record
from nlptool.models import hub
from nlptool.models.config import ModelConfig
from nlptool.objectives.config import ObjectiveConfig
from nlptool.recipe import RESUMABLE, Problem, RecipeBlock, only
from nlptool.registry import DiscriminatedBy
from nlptool.runs.metrics_file import Tracker
from nlptool.train.config import Evaluate, PretrainConfig, Save, micro_batch_problems


class Student(RecipeBlock):
    """A model initialised from some of its teacher's layers, the first and the last included, and all other weights."""

    layers: int = Field(gt=0, description="number of layers, evenly spaced; 6 of 12 are 0, 2, 4, 7, 9, 11")
    name: str | None = Field(
        None, description="family, e.g. distilbert for a BERT teacher; null: the teacher's"
    )

    @field_validator("name")
    @classmethod
    def _is_a_family(cls, name: str | None) -> str | None:
        if name is not None and name not in (known := registry.names("models")):
            raise ValueError(f"expected one of {', '.join(known)}; found {name}")
        return name


class WeightedStore(RecipeBlock):
    """A token store among several."""

    path: str = Field(description="token store, the output folder of nlptool tokenize")
    weight: float | None = Field(
        None,
        gt=0,
        description="its share of the rows of training, relative to the others' weights; in proportion to its size "
        "where no store has one",
    )


class Recipe(RecipeBlock):
    """A pretraining run."""

    replaces = MappingProxyType(
        {
            "model": ("init_from", "student"),
            "init_from": ("model", "student"),
            "student": ("model", "init_from"),
        }
    )

    store: str | tuple[WeightedStore, ...] = Field(
        description="token store, the output folder of nlptool tokenize; or several as a list of path and weight"
    )
    model: Annotated[ModelConfig, DiscriminatedBy("models")] | None = Field(
        None, description="architecture, randomly initialised"
    )
    init_from: str | None = Field(
        None,
        description="in place of model: initialise from a Hugging Face folder, e.g. a run's final/, or a hub id",
    )
    teacher: str | None = Field(
        None,
        description="distill only: the teacher, a Hugging Face folder or hub id",
        json_schema_extra=only("distill"),
    )
    entity_embeddings: str | None = Field(
        None,
        description="of pretrain-ernie: vectors of the graph that the store is linked to, final/ of a pretrain-transe "
        "run; they stay as they are",
        json_schema_extra=only("pretrain-ernie"),
    )
    student: Student | None = Field(
        None,
        description="distill only, in place of model: initialise from the teacher's layers",
        json_schema_extra=only("distill"),
    )
    objective: Annotated[ObjectiveConfig, DiscriminatedBy("objectives", *registry.objectives("tokens"))] = (
        Field(description="pretraining objective")
    )
    train: PretrainConfig = Field(description="training")
    evaluate: Evaluate = Field(Evaluate(), description="held-out loss during training")
    save: Save = Field(Save(), description="checkpoints")
    track: tuple[Tracker, ...] = Field(
        (), description="also log to: tensorboard, wandb", json_schema_extra=RESUMABLE
    )
    seed: int = Field(0, ge=0, description="seed of initial weights, order, masks and dropout")
    out: str = Field(description="run folder", json_schema_extra=RESUMABLE)

    @model_validator(mode="before")
    @classmethod
    def _weights_bring_their_model(cls, data: Any) -> Any:
        """Raise the error here, before model.dropout alone is read as a model without a name."""
        given = data if isinstance(data, dict) else {}
        model, origin = (
            given.get("model"),
            next((key for key in ("init_from", "student") if given.get(key)), None),
        )
        if origin is not None and isinstance(model, dict) and "name" not in model:
            keys = " and ".join(f"model.{key}" for key in model)
            raise ValueError(
                f"{origin} brings its model, with the shape, dropout and activation of its config.json (dropout may be "
                f"changed there, in a copy): leave out {keys}"
            )
        return data

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        given = [name for name in ("model", "init_from", "student") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give either {' or '.join(given)}, not both")
        if not given:
            raise ValueError(
                "give student, model or init_from" if self.needs_teacher else "give model or init_from"
            )
        return self

    @property
    def stores(self) -> tuple[WeightedStore, ...]:
        """The stores, whether one or several are given."""
        return (WeightedStore(path=self.store),) if isinstance(self.store, str) else self.store

    @property
    def store_text(self) -> str:
        """The stores in the form of a command line."""
        if isinstance(self.store, str):
            return self.store
        listed = (
            f"{{path: {one.path}}}" if one.weight is None else f"{{path: {one.path}, weight: {one.weight:g}}}"
            for one in self.store
        )
        return f"[{', '.join(listed)}]"

    @property
    def needs_teacher(self) -> bool:
        """Whether the objective has a teacher."""
        return self.objective.needs_teacher

    @property
    def command(self) -> str:
        """The command of this recipe."""
        return str(self.objective.only_command)


def check(recipe: Recipe, command: str) -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    if command != recipe.command:
        problems.append(
            Problem(
                "objective.name", f"{command} has another objective; the command is nlptool {recipe.command}"
            )
        )
    if recipe.needs_teacher and recipe.teacher is None:
        problems.append(Problem("teacher", "name the teacher, such as the final/ of a pretraining run"))
    if not recipe.needs_teacher:
        problems += [
            Problem(key, "only nlptool distill has one")
            for key in ("teacher", "student")
            if getattr(recipe, key) is not None
        ]
    reads, given = recipe.objective.reads_entities, recipe.entity_embeddings
    if reads and given is None:
        text = "name vectors of the graph's entities, such as the final/ of a pretrain-transe run"
        problems.append(Problem("entity_embeddings", text))
    if not reads and given is not None:
        problems.append(Problem("entity_embeddings", "only nlptool pretrain-ernie has them"))
    if given is not None and (why := weights_record.superseded_final(Path(given))):
        problems.append(Problem("entity_embeddings", why))
    if recipe.model is not None:
        problems += check_model(recipe.objective, recipe.train, recipe.model)
    problems += _check_stores(recipe)
    for key, name in (("init_from", recipe.init_from), ("teacher", recipe.teacher)):
        if name is not None and (wrong := hub.origin_problem(name)):
            problems.append(Problem(key, wrong))
    for index, stage in enumerate(recipe.train.plan()):
        where = f"train.stages.{index}." if recipe.train.stages else "train."
        problems += micro_batch_problems(
            stage.batch_size, recipe.train.gradient_accumulation, key=f"{where}batch_size"
        )
    budget = recipe.train.budget
    if budget is not None and budget.measure == "seconds" and len(recipe.train.stages) > 1:
        problems.append(
            Problem("train.budget", "a time budget cannot be shared out to stages; give steps or tokens")
        )
    return problems


def _check_stores(recipe: Recipe) -> list[Problem]:
    if not recipe.stores:
        return [Problem("store", "an empty list; name a token store, or several with path and weight")]
    mixed, problems = not isinstance(recipe.store, str), []
    for at, store in enumerate(recipe.stores):
        if not (Path(store.path) / "store.json").exists():
            found = folder_kinds.describe(Path(store.path))
            text = f"no token store at {store.path}: {found}; make one with nlptool tokenize"
            problems.append(Problem(f"store.{at}.path" if mixed else "store", text))
    lacking = [at for at, store in enumerate(recipe.stores) if store.weight is None]
    if 0 < len(lacking) < len(recipe.stores):
        problems += [Problem(f"store.{at}.weight", "missing; give each store one, or none") for at in lacking]
    if mixed and recipe.objective.reads_entities:
        problems.append(Problem("store", "links to a graph are read from one store; name a single one"))
    return problems


def check_model(objective: ObjectiveConfig, train: PretrainConfig, model: ModelConfig) -> list[Problem]:
    """Conflicts of a model, named in the recipe or found in init_from, with other settings."""
    problems = objective.check(model)
    if objective.reads_entities and not model.reads_entities:
        problems.append(Problem("model.name", "denoising entities needs a model that reads them: ernie"))
    if model.reads_entities and not objective.reads_entities:
        problems.append(Problem("model.name", f"{model.name} reads entities; its command is pretrain-ernie"))
    for index, stage in enumerate(train.plan()):
        if stage.sequence_length > model.max_positions:
            where = f"train.stages.{index}.sequence_length" if train.stages else "train.sequence_length"
            text = (
                f"{stage.sequence_length} tokens are more than model.max_positions "
                f"({model.max_positions}); set one to the other"
            )
            problems.append(Problem(where, text))
    return problems
