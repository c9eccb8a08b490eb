"""What a run of `distill` has besides others: a teacher, and a student that begins as some of its layers."""

from pathlib import Path
from typing import NamedTuple

from nlptool import registry
from nlptool.commands.pretrain import initial_weights
from nlptool.commands.pretrain.recipe import Recipe, Student
from nlptool.distill.layer_map import (
    evenly_spaced_layers,
    fold_token_type_embeddings,
    select_layers,
)
from nlptool.errors import DataError
from nlptool.models import hub
from nlptool.models.huggingface import Pretrained
from nlptool.objectives.base import Objective
from nlptool.recipe import RecipeBlock
from nlptool.text.tokenizer import Tokenizer

SHARED = (
    "hidden",
    "heads",
    "intermediate",
    "positions",
    "activation",
    "dropout",
    "attention_dropout",
    "init",
)
"""Keys that DistilBERT has from its teacher."""


class Teacher(NamedTuple):
    """A pretrained net to learn from."""

    name: str
    """As the recipe calls it."""
    folder: Path
    pretrained: Pretrained


def read(name: str, tokenizer: Tokenizer, store: str) -> Teacher:
    """The teacher. Raises DataError where it reads other tokens than the store has."""
    return Teacher(name, hub.folder(name), initial_weights.read(name, tokenizer, store))


def begin(teacher: Teacher, student: Student) -> Pretrained:
    """The student before its first step. Raises DataError where the teacher has no such layers."""
    config, vocab_size, state = teacher.pretrained
    given = config.model_dump()
    try:
        state = select_layers(state, evenly_spaced_layers(given["layers"], student.layers))
    except ValueError as error:
        raise DataError(f"{teacher.name}: student.layers: {error}") from error
    if student.name is None or student.name == given["name"]:
        return Pretrained(config.model_copy(update={"layers": student.layers}), vocab_size, state)
    if given["name"] != "bert":
        raise DataError(
            f"{teacher.name}: student.name: {student.name} begins with a BERT's layers, not {given['name']}'s"
        )
    chosen = {"layers": student.layers} | {key: given[key] for key in SHARED}
    block = registry.config("models", student.name).model_validate(chosen)
    return Pretrained(block, vocab_size, fold_token_type_embeddings(state))


def require_fit(teacher: Teacher, recipe: Recipe, model: RecipeBlock) -> None:
    """Raise DataError for what of a teacher does not go with its student, or with the length of the rows."""
    module = registry.load("objectives", str(recipe.objective.model_dump()["name"]), "teacher")
    problems = module.check(recipe.objective, model, teacher.pretrained.config)
    told = [f"{p.path}: {p.message}" for p in problems if p.path != "teacher"]
    told += [p.message for p in problems if p.path == "teacher"]
    size = teacher.pretrained.vocab_size
    if getattr(recipe.objective, "keep", 0) >= size:
        told.append(f"objective.keep: its vocabulary has {size:,} tokens; keep fewer")
    positions = teacher.pretrained.config.model_dump()["positions"]
    longest = max(stage.length for stage in recipe.train.plan())
    if longest > positions:
        told.append(f"reads up to {positions} tokens at once; a row has {longest}")
    if told:
        raise DataError(f"{teacher.name}: as a teacher: " + "; ".join(told))


def require_heads(teacher: Teacher, objective: Objective) -> None:
    """Raise DataError where the teacher lacks what the objective asks it for, such as guesses of tokens."""
    assert objective.teacher is not None
    given = {key.partition(".")[0] for key in teacher.pretrained.state}
    missing = [name for name, _ in objective.teacher.named_children() if name not in given]
    if missing:
        raise DataError(
            f"{teacher.name}: has no {' and no '.join(missing)}, so it cannot say what it would guess",
            hint="name a pretrained language model; or set objective.soft to 0",
        )
