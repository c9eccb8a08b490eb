"""The recipe block of BERT. No torch here: a broken recipe must fail before torch is imported."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nlptool.models.config import EncoderConfig

if TYPE_CHECKING:
    from nlptool.models.hf_family import Family


class Config(EncoderConfig):
    """BERT's encoder (Devlin et al. 2019), post-LN, learned positions.

    Published sizes are (layers, hidden, heads): tiny (2, 128, 2), mini (4, 256, 4), small (4, 512, 8),
    medium (8, 512, 8), base (12, 768, 12), large (24, 1024, 16).

    The default activation is the exact GELU, as in the paper and in Hugging Face's "gelu". Google's
    TensorFlow code computes the tanh approximation, `gelu_tanh`; the two differ by less than 5e-4 everywhere.
    """

    name: Literal["bert"] = Field("bert", description="model family")

    @classmethod
    def hf(cls) -> "Family":
        """Its names in transformers."""
        from nlptool.models.bert.huggingface import FAMILY

        return FAMILY
