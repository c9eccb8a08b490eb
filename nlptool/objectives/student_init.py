"""Distillation's teacher, and a student initialised from some of its layers."""

from pathlib import Path
from typing import NamedTuple

from nlptool import registry
from nlptool.distill.layer_map import evenly_spaced_layers, select_layers
from nlptool.errors import DataError
from nlptool.models import hub
from nlptool.models.config import ModelConfig
from nlptool.models.huggingface import Pretrained
from nlptool.objectives import initial_weights
from nlptool.objectives.base import Objective
from nlptool.objectives.config import ObjectiveConfig
from nlptool.text.tokenizer import Tokenizer


class PretrainedTeacher(NamedTuple):
    """A pretrained model to learn from."""

    name: str
    """Its name in the recipe."""
    folder: Path
    pretrained: Pretrained


def read(name: str, tokenizer: Tokenizer, store: str) -> PretrainedTeacher:
    """Read the teacher. Raises DataError where its vocabulary differs from the store's."""
    return PretrainedTeacher(name, hub.folder(name), initial_weights.read(name, tokenizer, store))


def initial_student(teacher: PretrainedTeacher, layers: int, name: str | None) -> Pretrained:
    """The config of a student of so many of the teacher's layers, in the family `name`; None: the teacher's.

    Raises DataError where the teacher lacks such layers, or the family cannot use them.
    """
    config, vocab_size, state = teacher.pretrained
    try:
        state = select_layers(state, evenly_spaced_layers(config.layers, layers))
    except ValueError as error:
        raise DataError(f"{teacher.name}: student.layers: {error}") from error
    family = type(config) if name is None else registry.config("models", name)
    try:
        student = family.of_teacher(config, layers)
    except ValueError as error:
        raise DataError(f"{teacher.name}: student.name: {error}") from error
    return Pretrained(student, vocab_size, dict(family.state_of_teacher(state)))


def require_fit(
    teacher: PretrainedTeacher, objective: ObjectiveConfig, model: ModelConfig, longest: int
) -> None:
    """Raise DataError where the teacher does not fit the student or the longest rows."""
    config = teacher.pretrained.config
    problems = objective.check_teacher(model, config, teacher.pretrained.vocab_size)
    messages = [f"{p.path}: {p.message}" for p in problems if p.path != "teacher"]
    messages += [p.message for p in problems if p.path == "teacher"]
    if longest > config.max_positions:
        messages.append(f"reads up to {config.max_positions} tokens at once; a row has {longest}")
    if messages:
        raise DataError(f"{teacher.name}: as a teacher: " + "; ".join(messages))


def require_heads(teacher: PretrainedTeacher, objective: Objective) -> None:
    """Raise DataError where the teacher lacks a head that the objective needs, such as the masked LM's."""
    assert objective.teacher is not None
    given = {key.partition(".")[0] for key in teacher.pretrained.state}
    missing = [name for name, _ in objective.teacher.named_children() if name not in given]
    if missing:
        raise DataError(
            f"{teacher.name}: has no {' and no '.join(missing)}, so it predicts no token",
            hint="name a pretrained language model; or set objective.kl to 0",
        )
