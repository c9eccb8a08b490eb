"""The recipe block of ELECTRA. No torch here: a broken recipe must fail before torch is imported."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationInfo, field_validator

from nlptool.models.config import EncoderConfig

if TYPE_CHECKING:
    from nlptool.models.hf_family import Family


class Config(EncoderConfig):
    """ELECTRA's encoder (Clark et al. 2020): BERT's, whose embeddings may be narrower than its layers.

    Published discriminators are (layers, hidden, heads, embedding): small (12, 256, 4, 128), base
    (12, 768, 12, 768), large (24, 1024, 16, 1024).

    The GELU is the exact one, as in Google's code and in Hugging Face's heads, which know no other. All matrices
    begin with a normal distribution cut at two deviations; Google's code does so too, except for the projection of
    the embeddings and the discriminator's last matrix, which there begin with Glorot's uniform one.
    """

    pooled = False

    name: Literal["electra"] = Field("electra", description="model family")
    activation: Literal["gelu"] = Field("gelu", description="gelu: exact, by erf")
    embedding_size: int = Field(
        0, ge=0, validate_default=True, description="width of the embeddings; 0: that of the layers"
    )

    @classmethod
    def hf(cls) -> "Family":
        """Its names in transformers."""
        from nlptool.models.electra.huggingface import FAMILY

        return FAMILY

    @property
    def embedding_width(self) -> int:
        """Width of the word embeddings."""
        return self.embedding_size

    @field_validator("embedding_size")
    @classmethod
    def _as_wide_as_hidden(cls, embedding: int, info: ValidationInfo) -> int:
        return embedding or int(info.data.get("hidden", 0))
