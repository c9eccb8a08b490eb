"""The teacher and the student of a recipe: initialisation, rows, compatibility."""

from pathlib import Path

from nlptool import weights_record
from nlptool.atomic_files import notify_recomputed
from nlptool.commands.distill_task.augmentation import AugmentingEncoder
from nlptool.commands.distill_task.recipe import Recipe
from nlptool.commands.distill_task.teacher import FinetunedTeacher
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.console import Console
from nlptool.distill.layer_map import layer_map
from nlptool.errors import DataError, UsageError
from nlptool.evaluation.fill_mask import FillMask
from nlptool.models import hub
from nlptool.models.config import ModelConfig
from nlptool.tasks.base import TaskObjective
from nlptool.tasks.distillation import IntermediateDistillation
from nlptool.text import tokenizer_json
from nlptool.train.config import FinetuneConfig
from nlptool.train.estimate import shapes_only


def open_teacher(recipe: Recipe) -> FinetunedTeacher:
    """The fine-tuned model of the recipe. Raises DataError where its task differs."""
    tuning = recipe.tuning(recipe.prediction, recipe.teacher, Path(recipe.out))
    return FinetunedTeacher(FinetuneSetup(tuning, whole=True))


def require(recipe: Recipe, teacher: FinetunedTeacher) -> None:
    """Raise DataError or UsageError unless the teacher suits the student; nothing is written."""
    if recipe.augment is not None and recipe.augment.model is not None:
        FillMask(hub.folder(recipe.augment.model))
    if recipe.layers is not None:
        teacher.part(recipe.layers)
        return
    if recipe.model is not None:
        _require_same_kind(teacher.setup, recipe.model, f"model.name: {recipe.model.name}")
        if recipe.intermediate is not None:
            with shapes_only():
                intermediate_objective(teacher.untrained(recipe.model), teacher.setup.objective())
        return
    assert recipe.init_from is not None
    setup = student_setup(recipe, recipe.prediction, recipe.init_from, Path(recipe.out))
    _require_same_kind(teacher.setup, setup.model, setup.start)
    _require_same_vocabulary(teacher.setup, setup)
    if recipe.intermediate is not None:
        with shapes_only():
            intermediate_objective(setup.objective(), teacher.setup.objective())


def initial_student(recipe: Recipe, out: Path) -> str:
    """The folder that the student is initialised from."""
    return recipe.init_from or str(out / "start")


def prepare(recipe: Recipe, teacher: FinetunedTeacher, out: Path, console: Console) -> None:
    """Initialise the student, unless it exists unchanged, and encode the rows."""
    start = out / "start"
    why = weights_record.changed(start) if start.exists() else None
    if why:
        notify_recomputed(str(start / why), "the student is")
    if why or not start.exists():
        if recipe.layers is not None:
            teacher.write(recipe.layers, start)
        elif recipe.model is not None:
            teacher.write_untrained(recipe.model, recipe.seeds[0], start)
    setup = student_setup(recipe, recipe.prediction, initial_student(recipe, out), out)
    encoder = None if recipe.augment is None else AugmentingEncoder(recipe.augment, setup, teacher)
    setup.encode(out / "rows", console, encoder)


def student_setup(recipe: Recipe, train: FinetuneConfig, start: str, out: Path) -> FinetuneSetup:
    """The student of one stage. Its head is kept if it comes from the teacher."""
    stage = "intermediate" if train is recipe.intermediate else "prediction"
    return FinetuneSetup(recipe.tuning(train, start, out), whole=recipe.layers is not None, stage=stage)


def intermediate_objective(own: TaskObjective, teacher: TaskObjective) -> IntermediateDistillation:
    """The objective of the first stage. Raises UsageError where layers cannot be compared."""
    depth, teacher_depth = own.backbone.layers.depth, teacher.backbone.layers.depth
    try:
        return IntermediateDistillation(own, teacher.backbone, layer_map(teacher_depth, depth))
    except ValueError as error:
        raise UsageError(
            str(error), hint="choose another student, or leave this stage out: intermediate=null"
        ) from error


def _require_same_kind(teacher: FinetuneSetup, student: ModelConfig, name: str) -> None:
    """Raise UsageError unless both are encoders or both are decoders, whose rows differ. name: the student's."""
    if student.kind != teacher.model.kind:
        articles = {"encoder": "an encoder", "decoder": "a decoder"}
        raise UsageError(
            f"{name} is {articles[student.kind]}, and the teacher, {teacher.start}, {articles[teacher.model.kind]}: "
            "they read a row with other tokens around its texts",
            hint=f"choose a student that is {articles[teacher.model.kind]}; or fine-tune this one: nlptool finetune",
        )


def _require_same_vocabulary(teacher: FinetuneSetup, student: FinetuneSetup) -> None:
    """Raise DataError unless both tokenize texts equally, with the same special tokens around them."""
    if other := tokenizer_json.difference(student.tokenizer, teacher.tokenizer):
        raise DataError(
            f"{student.start} and {teacher.start} have different tokenizers: {other}",
            hint="student and teacher need one tokenizer; choose a student with the teacher's",
        )
    if student.vocabulary.template != teacher.vocabulary.template:
        raise DataError(
            f"{student.start} and {teacher.start} read a row with other tokens around its texts",
            hint="give a student of the teacher's layers, layers=2; or fine-tune the teacher with nlptool finetune",
        )
