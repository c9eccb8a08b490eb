"""The recipe block of the causal language model. No torch here."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nlptool.models.config import ModelConfig
from nlptool.objectives.config import ObjectiveConfig
from nlptool.recipe import Problem

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.objectives.causal import CausalLM


class Config(ObjectiveConfig):
    """GPT-2's pretraining (Radford et al. 2019, section 2): predict each token from those before it.

    Rows are cut from concatenated documents, with <|endoftext|> between them. Tokens attend across it, as in GPT-3
    (Brown et al. 2020, appendix B).
    """

    only_command: ClassVar[str | None] = "pretrain-clm"
    name: Literal["clm"] = Field("clm", description="objective")

    def check(self, model: ModelConfig) -> list[Problem]:
        """Incompatible settings of the objective and its model."""
        if model.kind != "decoder":
            return [Problem("model.name", "a causal language model is a decoder, such as gpt2")]
        return []

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", teacher: ModelConfig | None = None
    ) -> "CausalLM":
        """A decoder, whose head is its word embeddings."""
        from nlptool.objectives import causal

        return causal.build(model, vocabulary)
