"""The recipe block of DistilBERT. No torch here: a broken recipe must fail before torch is imported."""

from typing import ClassVar, Literal

from pydantic import Field

from nlptool.models.config import EncoderConfig


class Config(EncoderConfig):
    """DistilBERT's encoder (Sanh et al. 2019, section 3): BERT's, without segment types and without a pooler.

    The published net has half of BERT-base's layers: 6, hidden 768, heads 12. As in Hugging Face's code, which is
    the authors', nothing is dropped out of the attention's output.
    """

    pooled: ClassVar[bool] = False
    dense: ClassVar[Literal["gelu", "relu"]] = "relu"
    classifier_dropout: ClassVar[float] = (
        0.2  # seq_classif_dropout in Hugging Face's code, which is the authors'
    )

    name: Literal["distilbert"] = Field("distilbert", description="model family")
    layers: int = Field(6, gt=0, description="Transformer layers")
    types: int = Field(0, ge=0, le=0, description="segment types: there are none")
