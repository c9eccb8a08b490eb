"""The base of the recipe blocks of model families. No torch here: a broken recipe must fail before torch is
imported.

A family is a folder here, named after the `model_type` of transformers: `config.py` has its `Config`, a ModelConfig,
which describes the model, builds it, and knows its names in transformers (`huggingface.py`).
"""

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from nlptool.recipe import RecipeBlock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from nlptool.models.base import Decoder, Encoder
    from nlptool.models.hf_family import Family

Activation = Literal["gelu", "gelu_tanh"]
Kind = Literal["encoder", "decoder"]
MOST_LAYERS, WIDEST, LONGEST = 10_000, 2**20, 2**24  # larger than any trained model
MOST_PARAMETERS = 10**14  # the same


class ModelConfig(RecipeBlock):
    """A Transformer without heads."""

    kind: ClassVar[Kind]
    """encoder: each token attends to the whole text; decoder: to the tokens before it."""

    epsilon: ClassVar[float]
    """Epsilon of every layer norm."""

    reads_entities: ClassVar[bool] = False
    """Whether it reads entities of a knowledge graph besides tokens."""

    new_parts: ClassVar[tuple[str, ...]] = ()
    """Prefixes of parameters that the family it may be initialised from lacks."""

    pooled: ClassVar[bool] = False
    """Whether a text is represented by a pooler, as in BERT, with a classifier of one matrix on it."""

    dense: ClassVar[Literal["gelu", "relu"] | None] = None
    """Activation after the classifier's dense layer, for models without a pooler; None: it has no dense layer."""

    classifier_bias: ClassVar[bool] = True
    """Whether the classifier's last matrix has a bias."""

    classifier_dropout: ClassVar[float] = 0.1
    """Default dropout of a head on a whole text: run_classifier.py of BERT and ALBERT."""

    name: str = Field(description="model family")
    layers: int = Field(12, gt=0, le=MOST_LAYERS, description="Transformer layers")
    hidden: int = Field(768, gt=0, le=WIDEST, description="width of the hidden states")
    heads: int = Field(12, gt=0, description="attention heads per layer; must divide hidden")
    max_positions: int = Field(
        512, gt=0, le=LONGEST, description="longest sequence that has position embeddings, in tokens"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="rate on embeddings and on each sub-layer's output")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="rate on attention probabilities")
    init: float = Field(
        0.02,
        gt=0,
        description="standard deviation of the initial weights; narrow models learn faster with more",
    )

    def build(self, vocab_size: int) -> "Encoder | Decoder":
        """The model with random weights, on torch's default device."""
        raise NotImplementedError

    @classmethod
    def hf(cls) -> "Family":
        """The family's class names, settings and tensor names in transformers."""
        raise NotImplementedError

    @property
    def embedding_width(self) -> int:
        """Width of the word embeddings."""
        return self.hidden

    @property
    def mlp_width(self) -> int:
        """Width between a layer's two MLP matrices."""
        return 4 * self.hidden

    @property
    def segment_types(self) -> int:
        """Segment types that have embeddings."""
        return 0

    @property
    def attentions(self) -> int:
        """Distinct attention sub-layers; where fewer than layers, layers share them."""
        return self.layers

    @property
    def mlps(self) -> int:
        """Distinct MLP sub-layers."""
        return self.layers

    @property
    def least_parameters(self) -> int:
        """Parameters of the layers' matrices and the position embeddings; those of the tokens are not counted."""
        layers = self.hidden * (4 * self.hidden * self.attentions + 2 * self.mlp_width * self.mlps)
        return layers + self.max_positions * self.embedding_width

    @classmethod
    def of_teacher(cls, teacher: "ModelConfig", layers: int) -> "ModelConfig":
        """This family's model of `layers` layers, initialised from a teacher. Raises ValueError where it cannot be."""
        if not isinstance(teacher, cls):
            name = cls.model_fields["name"].default
            raise ValueError(f"{name} begins with the layers of one, not with {teacher.name}'s")
        return teacher.model_copy(update={"layers": layers})

    @classmethod
    def state_of_teacher(cls, state: "Mapping[str, Tensor]") -> "Mapping[str, Tensor]":
        """The selected layers of a teacher's state, as a state of this family."""
        return state

    @model_validator(mode="after")
    def _has_a_size_that_can_be(self) -> Self:
        if (number := self.least_parameters) > MOST_PARAMETERS:
            raise ValueError(
                f"{self.layers:,} layers of width {self.hidden:,} have {number:.0e} parameters; at most "
                f"{MOST_PARAMETERS:.0e} are expected"
            )
        return self

    @field_validator("heads")
    @classmethod
    def _divides_hidden(cls, heads: int, info: ValidationInfo) -> int:
        hidden = info.data.get("hidden", heads)
        if hidden % heads:
            raise ValueError(f"heads ({heads}) must divide hidden ({hidden})")
        return heads


class EncoderConfig(ModelConfig):
    """An encoder like BERT (Devlin et al. 2019): post-LN, learned positions."""

    kind = "encoder"
    epsilon = 1e-12  # variance_epsilon in Google's code, layer_norm_eps in Hugging Face's

    pooled = True

    dense: ClassVar[Literal["gelu", "relu"] | None] = "gelu"

    intermediate: int = Field(
        0,
        ge=0,
        le=WIDEST,
        validate_default=True,
        description="width between a layer's two MLP matrices; 0: 4 * hidden",
    )
    type_vocab_size: int = Field(
        2, gt=0, le=WIDEST, description="segment types, e.g. sentence A and sentence B"
    )
    activation: Activation = Field(
        "gelu", description="gelu: exact, by erf; gelu_tanh: the approximation of Google's BERT code"
    )

    def build(self, vocab_size: int) -> "Encoder":
        """The encoder with random weights."""
        from nlptool.models.encoder import TransformerEncoder

        return TransformerEncoder(self, vocab_size)

    @property
    def mlp_width(self) -> int:
        """Width between a layer's two MLP matrices."""
        return self.intermediate

    @property
    def segment_types(self) -> int:
        """Segment types that have embeddings."""
        return self.type_vocab_size

    @property
    def projected(self) -> bool:
        """Whether a matrix stands between embeddings and layers."""
        return self.embedding_width != self.hidden

    @property
    def attention_output_dropout(self) -> float:
        """Rate on an attention's output."""
        return self.dropout

    @field_validator("intermediate")
    @classmethod
    def _four_times_hidden(cls, intermediate: int, info: ValidationInfo) -> int:
        return intermediate or 4 * int(info.data.get("hidden", 0))
