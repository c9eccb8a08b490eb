"""The recipe block of BERT's masked language model. No torch here."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nlptool.models.config import ModelConfig
from nlptool.objectives.config import MaskingConfig, require_pairs
from nlptool.recipe import Problem

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.objectives.masked import MaskedLM


class Config(MaskingConfig):
    """BERT's pretraining (Devlin et al. 2019, section 3.1): masked LM, with or without next sentence.

    Without it, rows are packed with text from end to end and hold no padding, as in RoBERTa. Whole words are masked
    as in Google's whole-word-masking models; ngram 3 is ALBERT's masking.
    """

    only_command: ClassVar[str | None] = "pretrain-mlm"
    name: Literal["mlm"] = Field("mlm", description="objective")
    next_sentence: bool = Field(
        False,
        description="next-sentence prediction on padded pairs of segments, as a second loss",
    )

    def check(self, model: ModelConfig) -> list[Problem]:
        """Incompatible settings of the objective and its model."""
        if model.kind != "encoder":
            return [Problem("model.name", "a masked language model is an encoder, such as bert")]
        return require_pairs("objective.next_sentence", model) if self.next_sentence else []

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", teacher: ModelConfig | None = None
    ) -> "MaskedLM":
        """Over packed rows, or over pairs of which the second may be a random one."""
        from nlptool.objectives import masked

        return masked.build(self, model, vocabulary, "next" if self.next_sentence else None)
