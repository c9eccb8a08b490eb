"""The base of the recipe blocks of objectives. No torch here.

An objective is a folder here, named as in recipes: its `config.py` has its `Config`, an ObjectiveConfig that checks
its settings and builds the Objective.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from nlptool.models.config import ModelConfig
from nlptool.recipe import Problem, RecipeBlock

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.objectives.base import Objective

Share = Annotated[float, Field(ge=0, le=1)]


class ObjectiveConfig(RecipeBlock):
    """A pretraining objective."""

    reads: ClassVar[Literal["tokens", "graph"]] = "tokens"
    """Its input: a token store, or a knowledge graph, for which `build_on` builds it."""

    needs_teacher: ClassVar[bool] = False
    """Whether it learns from another model, which `build` and `check_teacher` receive."""

    reads_entities: ClassVar[bool] = False
    """Whether tokens of its store are linked to a knowledge graph, whose embeddings `Objective.entities` holds."""

    name: str = Field(description="objective")

    def beginning(self, model: ModelConfig, entity_size: int | None) -> ModelConfig:
        """The config of a model initialised from the weights of `model`. entity_size: of the entity embeddings."""
        return model

    def check(self, model: ModelConfig) -> list[Problem]:
        """Incompatible settings of the objective and its model."""
        return []

    def check_teacher(self, model: ModelConfig, teacher: ModelConfig, vocab_size: int) -> list[Problem]:
        """Incompatible settings of student and teacher. vocab_size: of both."""
        return []

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", teacher: ModelConfig | None = None
    ) -> "Objective":
        """The objective with random weights, on torch's default device; no file is read."""
        raise NotImplementedError


def require_pairs(key: str, model: ModelConfig) -> list[Problem]:
    """What a model lacks for predicting the order of pairs of segments. key: the setting that requires it."""
    if model.segment_types < 2:
        text = (
            "a pair has two types of segment, and model.type_vocab_size is "
            f"{model.segment_types}; set model.type_vocab_size=2"
        )
        return [Problem(key, text)]
    if not model.pooled:
        text = f"needs a pooler, as BERT has one, and {model.name} has none; set model.name=bert"
        return [Problem(key, text)]
    return []


class MaskingConfig(ObjectiveConfig):
    """Which tokens are predicted, and what replaces them (Devlin et al. 2019, section 3.1)."""

    mask_rate: float = Field(0.15, gt=0, lt=1, description="share of each row's tokens to predict")
    whole_word: bool = Field(
        False,
        description="mask whole words; a word longer than the row's budget is masked in parts",
    )
    ngram: int = Field(1, ge=1, le=10, description="mask spans of 1 to ngram tokens (words), p(n) ~ 1/n")
    mask_split: tuple[Share, Share, Share] = Field(
        (0.8, 0.1, 0.1),
        description="shares of predicted tokens shown as [MASK], as a random token, unchanged",
    )

    @field_validator("mask_split")
    @classmethod
    def _shares(cls, corrupt: tuple[float, float, float]) -> tuple[float, float, float]:
        if abs(sum(corrupt) - 1) > 1e-6:
            raise ValueError(f"three shares that add up to 1, not to {sum(corrupt):g}")
        return corrupt
