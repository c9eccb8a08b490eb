"""The recipe block of BERT's masked language model. No torch here."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from nlptool.models.config import EncoderConfig
from nlptool.recipe import Block, Problem

Share = Annotated[float, Field(ge=0, le=1)]


class Config(Block):
    """BERT's pretraining (Devlin et al. 2019, section 3.1): masked LM, with or without next sentence.

    Without it, rows are packed with text from end to end and hold no padding, as in RoBERTa. Whole words are
    those of Google's whole-word-masking models; ngram 3 is ALBERT's masking.
    """

    name: Literal["mlm"] = Field("mlm", description="objective")
    mask_rate: float = Field(0.15, gt=0, lt=1, description="share of each row's tokens to predict")
    whole_word: bool = Field(False, description="mask all tokens of a word or none")
    ngram: int = Field(1, ge=1, le=10, description="mask spans of 1 to ngram tokens (words), p(n) ~ 1/n")
    corrupt: tuple[Share, Share, Share] = Field(
        (0.8, 0.1, 0.1),
        description="shares of predicted tokens shown as [MASK], as a random token, unchanged",
    )
    next_sentence: bool = Field(
        False,
        description="padded pairs of segments, and whether the second follows the first, as a second loss",
    )

    @field_validator("corrupt")
    @classmethod
    def _shares(cls, corrupt: tuple[float, float, float]) -> tuple[float, float, float]:
        if abs(sum(corrupt) - 1) > 1e-6:
            raise ValueError(f"three shares that add up to 1, not to {sum(corrupt):g}")
        return corrupt


def check(objective: Config, model: Block) -> list[Problem]:
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
