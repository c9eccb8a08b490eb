"""The recipe block of ALBERT's pretraining. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from nlptool.models.config import EncoderConfig
from nlptool.objectives.config import MaskingConfig
from nlptool.recipe import Problem, RecipeBlock


class Config(MaskingConfig):
    """ALBERT's pretraining (Lan et al. 2020, section 3.1): masked LM over n-grams, and sentence order.

    pairs: `order`, which of two consecutive segments comes first, is ALBERT. `next` and `none` are the baselines of
    the paper's table 5, in the same rows [CLS] A [SEP] B [SEP]: whether B follows A, as BERT asks; or no question,
    B always following A.

    The masked share is the paper's 15 %. Google's script caps it at 20 tokens a row, 4 % of 512.
    """

    only_command: ClassVar[str | None] = "pretrain-sop"
    name: Literal["sop"] = Field("sop", description="objective")
    whole_word: bool = Field(
        True, description="mask all tokens of a word or none; of one longer than the row's budget parts"
    )
    ngram: int = Field(3, ge=1, le=10, description="mask spans of 1 to ngram tokens (words), p(n) ~ 1/n")
    pairs: Literal["order", "next", "none"] = Field(
        "order", description="order: which segment comes first; next: does B follow A; none: no second loss"
    )


def check(objective: Config, model: RecipeBlock) -> list[Problem]:
    """What of the two blocks does not go together."""
    if not isinstance(model, EncoderConfig):
        return [Problem("model.name", "sentence order is learnt by an encoder, such as albert")]
    if model.types < 2:
        return [
            Problem("model.types", "a pair has two types of segment, and model.types is 1; set model.types=2")
        ]
    return []
