"""The recipe block of GPT-2. No torch here: a broken recipe must fail before torch is imported."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from nlptool.models.config import LONGEST, MOST_LAYERS, WIDEST
from nlptool.recipe import RecipeBlock


class Config(RecipeBlock):
    """GPT-2's decoder (Radford et al. 2019, section 2.3): pre-LN, causal, learned positions, tied head.

    Published sizes are (layers, hidden, heads): small (12, 768, 12), medium (24, 1024, 16),
    large (36, 1280, 20), xl (48, 1600, 25). Each layer's MLP is 4 * hidden wide, with the tanh GELU.

    The released code only reads trained weights and has no dropout, and the paper does not say; 0.1 everywhere
    is Hugging Face's setting. GPT-3 does not mention any.
    """

    name: Literal["gpt2"] = Field("gpt2", description="model family")
    layers: int = Field(12, gt=0, le=MOST_LAYERS, description="Transformer layers")
    hidden: int = Field(768, gt=0, le=WIDEST, description="width of the hidden states")
    heads: int = Field(12, gt=0, description="attention heads per layer; must divide hidden")
    positions: int = Field(
        1024, gt=0, le=LONGEST, description="longest sequence that has position embeddings, in tokens"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="rate on embeddings and on each sub-layer's output")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="rate on attention probabilities")
    init: float = Field(
        0.02,
        gt=0,
        description="standard deviation of the initial weights; positions half of it, outputs less by depth",
    )

    @field_validator("heads")
    @classmethod
    def _divides_hidden(cls, heads: int, info: ValidationInfo) -> int:
        hidden = info.data.get("hidden", heads)
        if hidden % heads:
            raise ValueError(f"heads ({heads}) must divide hidden ({hidden})")
        return heads
