"""The recipe block of ALBERT's pretraining. No torch here."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nlptool.models.config import ModelConfig
from nlptool.objectives.config import MaskingConfig, require_pairs
from nlptool.recipe import Problem

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.objectives.masked import MaskedLM


class Config(MaskingConfig):
    """ALBERT's pretraining (Lan et al. 2020, section 3.1): masked LM over n-grams, and sentence order.

    pairs: `order`, which of two consecutive segments comes first, is ALBERT's. `next` and `none` are the baselines
    of the paper's table 5, with the same rows [CLS] A [SEP] B [SEP]: whether B follows A, as in BERT; or no label,
    with B always following A.

    The masked share is the paper's 15 %. Google's script caps it at 20 tokens a row, 4 % of 512.
    """

    only_command: ClassVar[str | None] = "pretrain-sop"
    name: Literal["sop"] = Field("sop", description="objective")
    whole_word: bool = Field(
        True, description="mask whole words; a word longer than the row's budget is masked in parts"
    )
    ngram: int = Field(3, ge=1, le=10, description="mask spans of 1 to ngram tokens (words), p(n) ~ 1/n")
    pairs: Literal["order", "next", "none"] = Field(
        "order", description="order: which segment comes first; next: does B follow A; none: no second loss"
    )

    def check(self, model: ModelConfig) -> list[Problem]:
        """Incompatible settings of the objective and its model."""
        if model.kind != "encoder":
            return [Problem("model.name", "sentence order is learnt by an encoder, such as albert")]
        if self.pairs == "none" and model.segment_types > 1:
            return []
        return require_pairs("model.type_vocab_size" if model.segment_types < 2 else "objective.pairs", model)

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", teacher: ModelConfig | None = None
    ) -> "MaskedLM":
        """Over pairs of segments."""
        from nlptool.objectives import masked

        return masked.build(self, model, vocabulary, self.pairs)
