"""The recipe block of ALBERT. No torch here: a broken recipe must fail before torch is imported."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationInfo, field_validator

from nlptool.models.config import WIDEST, Activation, EncoderConfig

if TYPE_CHECKING:
    from nlptool.models.hf_family import Family


class Config(EncoderConfig):
    """ALBERT's encoder (Lan et al. 2020, section 3.1): BERT's, with narrow embeddings and shared layers.

    Published sizes are (layers, hidden, heads), all with embedding 128: base (12, 768, 12), large (24, 1024, 16),
    xlarge (24, 2048, 16), xxlarge (12, 4096, 64). The paper's text gives heads of 64, so 32 for xlarge; the released
    model has 16.

    Defaults are those of the released models, version 2: the tanh GELU of Google's code, and no dropout. The paper
    trains with dropout 0.1 and finds that leaving it out helps (section 4.8).

    A matrix always stands between embeddings and layers, also where both have one width, as in Hugging Face's
    port; Google's code then has none.
    """

    name: Literal["albert"] = Field("albert", description="model family")
    activation: Activation = Field(
        "gelu_tanh", description="gelu_tanh: the approximation of Google's ALBERT code; gelu: exact, by erf"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="rate on embeddings and on each sub-layer's output")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="rate on attention probabilities")
    embedding_size: int = Field(128, gt=0, le=WIDEST, description="width of the embeddings")
    share: Literal["none", "attention", "ffn", "all"] = Field(
        "all", description="what layers share: attention, MLP (ffn), both or nothing"
    )
    groups: int = Field(
        1,
        gt=0,
        validate_default=True,
        description="number of distinct groups of what is shared; must divide layers",
    )

    @classmethod
    def hf(cls) -> "Family":
        """Its names in transformers."""
        from nlptool.models.albert.huggingface import FAMILY

        return FAMILY

    @property
    def embedding_width(self) -> int:
        """Width of the word embeddings."""
        return self.embedding_size

    @property
    def projected(self) -> bool:
        """Always: see above."""
        return True

    @property
    def attentions(self) -> int:
        """Distinct attention sub-layers."""
        return self.groups if self.share in ("attention", "all") else self.layers

    @property
    def mlps(self) -> int:
        """Distinct MLP sub-layers."""
        return self.groups if self.share in ("ffn", "all") else self.layers

    @field_validator("groups")
    @classmethod
    def _divides_layers(cls, groups: int, info: ValidationInfo) -> int:
        layers, share = info.data.get("layers", groups), info.data.get("share")
        if layers % groups:
            raise ValueError(f"groups ({groups}) must divide layers ({layers})")
        if share == "none" and groups != 1:
            raise ValueError("groups means nothing where share is none; leave it out")
        return groups
