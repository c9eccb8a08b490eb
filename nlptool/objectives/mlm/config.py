"""The recipe block of BERT's masked language model. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from nlptool.models.config import EncoderConfig
from nlptool.objectives.config import MaskingConfig
from nlptool.recipe import Problem, RecipeBlock


class Config(MaskingConfig):
    """BERT's pretraining (Devlin et al. 2019, section 3.1): masked LM, with or without next sentence.

    Without it, rows are packed with text from end to end and hold no padding, as in RoBERTa. Whole words are
    those of Google's whole-word-masking models; ngram 3 is ALBERT's masking.
    """

    only_command: ClassVar[str | None] = "pretrain-mlm"
    name: Literal["mlm"] = Field("mlm", description="objective")
    next_sentence: bool = Field(
        False,
        description="padded pairs of segments, and whether the second follows the first, as a second loss",
    )


def check(objective: Config, model: RecipeBlock) -> list[Problem]:
    """What of the two blocks does not go together."""
    if not isinstance(model, EncoderConfig):
        return [Problem("model.name", "a masked language model is an encoder, such as bert")]
    if objective.next_sentence and model.types < 2:
        return [
            Problem(
                "objective.next_sentence",
                "a pair has two types of segment, and model.types is 1; set model.types=2, or leave it out",
            )
        ]
    return []
