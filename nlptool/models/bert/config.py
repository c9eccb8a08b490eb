"""The recipe block of BERT. No torch here: a broken recipe must fail before torch is imported."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from nlptool.recipe import Block


class Config(Block):
    """BERT's encoder (Devlin et al. 2019), post-LN, learned positions.

    Published sizes are (layers, hidden, heads): tiny (2, 128, 2), mini (4, 256, 4), small (4, 512, 8),
    medium (8, 512, 8), base (12, 768, 12), large (24, 1024, 16).

    The default activation is the exact GELU, as in the paper and in Hugging Face's "gelu". Google's
    TensorFlow code computes the tanh approximation, `gelu_tanh`; the two differ by less than 5e-4 everywhere.
    """

    name: Literal["bert"] = Field("bert", description="model family")
    layers: int = Field(12, gt=0, description="Transformer layers")
    hidden: int = Field(768, gt=0, description="width of the hidden states")
    heads: int = Field(12, gt=0, description="attention heads per layer; must divide hidden")
    intermediate: int = Field(
        0, ge=0, validate_default=True, description="width between a layer's two MLP matrices; 0: 4 * hidden"
    )
    positions: int = Field(512, gt=0, description="longest sequence that has position embeddings, in tokens")
    types: int = Field(2, gt=0, description="segment types, e.g. sentence A and sentence B")
    activation: Literal["gelu", "gelu_tanh"] = Field(
        "gelu", description="gelu: exact, by erf; gelu_tanh: the approximation of Google's BERT code"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="rate on embeddings and on each sub-layer's output")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="rate on attention probabilities")
    init: float = Field(
        0.02,
        gt=0,
        description="standard deviation of the initial weights; narrow nets learn sooner with more",
    )

    @field_validator("heads")
    @classmethod
    def _divides_hidden(cls, heads: int, info: ValidationInfo) -> int:
        hidden = info.data.get("hidden", heads)
        if hidden % heads:
            raise ValueError(f"heads ({heads}) must divide hidden ({hidden})")
        return heads

    @field_validator("intermediate")
    @classmethod
    def _four_times_hidden(cls, intermediate: int, info: ValidationInfo) -> int:
        return intermediate or 4 * int(info.data.get("hidden", 0))
