"""The recipe block of DistilBERT. No torch here: a broken recipe must fail before torch is imported."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nlptool.models.config import EncoderConfig, ModelConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from nlptool.models.hf_family import Family

OF_TEACHER = (
    "hidden",
    "heads",
    "intermediate",
    "max_positions",
    "activation",
    "dropout",
    "attention_dropout",
    "init",
)


class Config(EncoderConfig):
    """DistilBERT's encoder (Sanh et al. 2019, section 3): BERT's, without segment types and without a pooler.

    The published model has half of BERT-base's layers: 6, hidden 768, heads 12. As in Hugging Face's code, which is
    the authors', nothing is dropped out of the attention's output.
    """

    pooled = False
    dense = "relu"
    classifier_dropout = 0.2  # seq_classif_dropout in Hugging Face's code, which is the authors'

    name: Literal["distilbert"] = Field("distilbert", description="model family")
    layers: int = Field(6, gt=0, description="Transformer layers")
    type_vocab_size: int = Field(0, ge=0, le=0, description="segment types: there are none")

    @classmethod
    def hf(cls) -> "Family":
        """Its names in transformers."""
        from nlptool.models.distilbert.huggingface import FAMILY

        return FAMILY

    @property
    def attention_output_dropout(self) -> float:
        """None: see above."""
        return 0.0

    @classmethod
    def of_teacher(cls, teacher: ModelConfig, layers: int) -> ModelConfig:
        """Also accepts a BERT whose layers are not shared and whose embeddings are not projected."""
        own = (teacher.layers, teacher.layers) == (teacher.attentions, teacher.mlps)
        if not isinstance(teacher, EncoderConfig) or teacher.projected or not own:
            raise ValueError(f"distilbert begins with a BERT's layers, not {teacher.name}'s")
        taken = {key: value for key, value in teacher.model_dump().items() if key in OF_TEACHER}
        return cls.model_validate({"layers": layers, **taken})

    @classmethod
    def state_of_teacher(cls, state: "Mapping[str, Tensor]") -> "Mapping[str, Tensor]":
        """The embedding of segment type 0 is added to the positions."""
        from nlptool.models.token_types import fold_token_types

        return fold_token_types(state)
