"""What the recipe blocks of encoders have in common. No torch here: a broken recipe must fail before it."""

from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from nlptool.recipe import RecipeBlock

Activation = Literal["gelu", "gelu_tanh"]
MOST_LAYERS, WIDEST, LONGEST = 10_000, 2**20, 2**24  # beyond any net that was ever trained
EPSILON = 1e-12  # of every layer norm: variance_epsilon in Google's code, layer_norm_eps in Hugging Face's


class EncoderConfig(RecipeBlock):
    """An encoder as BERT's (Devlin et al. 2019): post-LN, learned positions."""

    pooled: ClassVar[bool] = True
    """Whether a whole text is told by a pooler, as BERT's, on which a classifier is one matrix."""

    dense: ClassVar[Literal["gelu", "relu"]] = "gelu"
    """Where there is no pooler: what follows the classifier's own dense layer."""

    classifier_dropout: ClassVar[float] = 0.1
    """Rate in a head on a whole text, unless a recipe has another: run_classifier.py of BERT and of ALBERT."""

    layers: int = Field(12, gt=0, le=MOST_LAYERS, description="Transformer layers")
    hidden: int = Field(768, gt=0, le=WIDEST, description="width of the hidden states")
    heads: int = Field(12, gt=0, description="attention heads per layer; must divide hidden")
    intermediate: int = Field(
        0,
        ge=0,
        le=WIDEST,
        validate_default=True,
        description="width between a layer's two MLP matrices; 0: 4 * hidden",
    )
    positions: int = Field(
        512, gt=0, le=LONGEST, description="longest sequence that has position embeddings, in tokens"
    )
    types: int = Field(2, gt=0, le=WIDEST, description="segment types, e.g. sentence A and sentence B")
    activation: Activation = Field(
        "gelu", description="gelu: exact, by erf; gelu_tanh: the approximation of Google's BERT code"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="rate on embeddings and on each sub-layer's output")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="rate on attention probabilities")
    init: float = Field(
        0.02,
        gt=0,
        description="standard deviation of the initial weights; narrow nets learn sooner with more",
    )

    @property
    def embedding_width(self) -> int:
        """Width of the word embeddings."""
        return self.hidden

    @property
    def projected(self) -> bool:
        """Whether a matrix stands between embeddings and layers."""
        return self.embedding_width != self.hidden

    @property
    def attentions(self) -> int:
        """Distinct attention sub-layers; where fewer than layers, layers share them."""
        return self.layers

    @property
    def mlps(self) -> int:
        """Distinct MLP sub-layers."""
        return self.layers

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
