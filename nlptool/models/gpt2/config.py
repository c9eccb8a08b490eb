"""The recipe block of GPT-2. No torch here: a broken recipe must fail before torch is imported."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nlptool.models.config import LONGEST, ModelConfig

if TYPE_CHECKING:
    from nlptool.models.gpt2.model import GPT2
    from nlptool.models.hf_family import Family


class Config(ModelConfig):
    """GPT-2's decoder (Radford et al. 2019, section 2.3): pre-LN, causal, learned positions, tied head.

    Published sizes are (layers, hidden, heads): small (12, 768, 12), medium (24, 1024, 16),
    large (36, 1280, 20), xl (48, 1600, 25). Each layer's MLP is 4 * hidden wide, with the tanh GELU.

    The released code only reads trained weights and has no dropout, and the paper does not say; 0.1 everywhere
    is Hugging Face's setting. GPT-3 does not mention any.
    """

    kind = "decoder"
    epsilon = 1e-5  # openai/gpt-2, model.py
    classifier_bias = False  # transformers' GPT2ForSequenceClassification

    name: Literal["gpt2"] = Field("gpt2", description="model family")
    max_positions: int = Field(
        1024, gt=0, le=LONGEST, description="longest sequence that has position embeddings, in tokens"
    )
    init: float = Field(
        0.02,
        gt=0,
        description="standard deviation of the initial weights; positions half of it, outputs less by depth",
    )

    def build(self, vocab_size: int) -> "GPT2":
        """The decoder with random weights."""
        from nlptool.models.gpt2.model import GPT2

        return GPT2(self, vocab_size)

    @classmethod
    def hf(cls) -> "Family":
        """Its names in transformers."""
        from nlptool.models.gpt2.huggingface import FAMILY

        return FAMILY
