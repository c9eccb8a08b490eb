"""The student of a recipe: what it begins from, what it reads, and whether its teacher can teach it."""

from pathlib import Path

from nlptool.commands.distill_task.augmentation import AugmentingEncoder
from nlptool.commands.distill_task.recipe import Recipe
from nlptool.commands.distill_task.teacher import Teacher
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.console import Console
from nlptool.distill.layer_map import layer_map
from nlptool.errors import DataError, UsageError
from nlptool.evaluation.fill_mask import FillMask
from nlptool.models import hub
from nlptool.tasks.base import TaskObjective
from nlptool.tasks.distillation import IntermediateDistillation
from nlptool.text import fingerprints
from nlptool.train.config import FinetuneConfig
from nlptool.train.estimate import shapes_only


def require(recipe: Recipe, teacher: Teacher) -> None:
    """Raise DataError or UsageError unless the teacher can teach the student; nothing is written."""
    if recipe.augment is not None and recipe.augment.model is not None:
        FillMask(hub.folder(recipe.augment.model))
    if recipe.layers is not None:
        teacher.part(recipe.layers)
        return
    if recipe.model is not None:
        if recipe.intermediate is not None:
            with shapes_only():
                imitation(teacher.untaught(recipe.model), teacher.plan.objective())
        return
    assert recipe.start is not None
    plan = student(recipe, recipe.prediction, recipe.start, Path(recipe.out))
    _require_same_vocabulary(teacher.plan, plan)
    if recipe.intermediate is not None:
        with shapes_only():
            imitation(plan.objective(), teacher.plan.objective())


def beginning(recipe: Recipe, out: Path) -> str:
    """The folder that the student begins from."""
    return recipe.start or str(out / "start")


def prepare(recipe: Recipe, teacher: Teacher, out: Path, console: Console) -> None:
    """Make the student, unless it is there, and encode the rows."""
    if not (out / "start").exists():
        if recipe.layers is not None:
            teacher.write(recipe.layers, out / "start")
        elif recipe.model is not None:
            teacher.write_untaught(recipe.model, recipe.seeds[0], out / "start")
    plan = student(recipe, recipe.prediction, beginning(recipe, out), out)
    copying = None if recipe.augment is None else AugmentingEncoder(recipe.augment, plan, teacher)
    plan.encode(out / "rows", console, copying)


def student(recipe: Recipe, train: FinetuneConfig, start: str, out: Path) -> FinetuneSetup:
    """The student of one stage. Its head is taken over where it is the teacher's own."""
    stage = "intermediate" if train is recipe.intermediate else "prediction"
    return FinetuneSetup(recipe.tuning(train, start, out), whole=recipe.layers is not None, stage=stage)


def imitation(own: TaskObjective, teacher: TaskObjective) -> IntermediateDistillation:
    """The objective of the first stage. Raises UsageError where layers cannot be compared."""
    depths = [objective.backbone.layers.depth for objective in (teacher, own)]  # type: ignore[union-attr]
    try:
        return IntermediateDistillation(own, teacher.backbone, layer_map(*depths))  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(
            str(error), hint="choose another student, or leave this stage out: intermediate=null"
        ) from error


def _require_same_vocabulary(teacher: FinetuneSetup, student: FinetuneSetup) -> None:
    """Raise DataError unless both read a text as the same tokens."""
    if other := fingerprints.difference(student.tokenizer, teacher.tokenizer):
        raise DataError(
            f"{student.recipe.start} and {teacher.recipe.start} have different tokenizers: {other}",
            hint="a student reads what its teacher reads; begin with one that has the teacher's tokenizer",
        )
