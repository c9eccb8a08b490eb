"""The net that a student learns from."""

from torch import nn

from nlptool import registry
from nlptool.distill.layer_map import layer_map
from nlptool.models import heads
from nlptool.models.config import EncoderConfig
from nlptool.objectives.distil.config import Config
from nlptool.recipe import Problem, RecipeBlock


class Teacher(nn.Module):
    """A net that never changes: no gradient, and no dropout, as it never trains.

    TinyBERT's scripts leave their teacher's dropout on, without a word in the paper; here it is off.
    """

    backbone: nn.Module
    mlm: heads.MaskedLM | None

    def __init__(self, model: RecipeBlock, vocab_size: int, *, guesses: bool) -> None:
        """guesses: whether its guesses are asked for, and so its head."""
        super().__init__()
        self.config = model
        self.backbone = registry.load("models", model.model_dump()["name"], "net").Net(model, vocab_size)
        encoder = isinstance(model, EncoderConfig)
        self.mlm = heads.MaskedLM.of(model, vocab_size) if guesses and encoder else None  # type: ignore[arg-type]
        self.requires_grad_(False).eval()


def check(objective: Config, model: RecipeBlock, teacher: RecipeBlock) -> list[Problem]:
    """What of student and teacher does not go together."""
    if isinstance(model, EncoderConfig) != isinstance(teacher, EncoderConfig):
        kinds = ["an encoder" if isinstance(net, EncoderConfig) else "a decoder" for net in (teacher, model)]
        return [Problem("teacher", f"is {kinds[0]}, and the student {kinds[1]}")]
    student, taught = model.model_dump(), teacher.model_dump()
    problems = []
    if objective.cosine and student["hidden"] != taught["hidden"]:
        text = f"compares states of one width; the student has {student['hidden']}, the teacher {taught['hidden']}"
        problems.append(Problem("objective.cosine", f"{text}; set it to 0, hidden learns across widths"))
    if objective.attention and student["heads"] != taught["heads"]:
        text = f"compares head by head; the student has {student['heads']}, the teacher {taught['heads']}"
        problems.append(Problem("objective.attention", f"{text}; set it to 0, or model.heads"))
    if objective.hidden or objective.attention:
        try:
            layer_map(taught["layers"], student["layers"], objective.layers)
        except ValueError as error:
            problems.append(Problem("objective.layers", str(error)))
    return problems
