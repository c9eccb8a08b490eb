"""The recipe block of ERNIE's pretraining. No torch here."""

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nlptool.models.config import ModelConfig
from nlptool.objectives.config import MaskingConfig, Share, require_pairs
from nlptool.recipe import Problem

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.objectives.ernie.objective import Ernie


class Config(MaskingConfig):
    """ERNIE's pretraining (Zhang et al. 2019, section 3.4): masked LM, next sentence and denoising entities (dEA).

    Some links of a row are replaced by another entity, some dropped, the rest kept; the hidden state of each linked
    token predicts its true entity among candidates: the entities of all rows of the step, and none. In the paper the
    candidates are those of the row; in the released code those of a GPU's rows, so that there the loss depends on
    how a batch is divided.

    A masked token keeps its link, as in the released code. That code skips rows with fewer than five linked tokens;
    here every row is used.
    """

    only_command: ClassVar[str | None] = "pretrain-ernie"
    reads_entities = True

    name: Literal["ernie"] = Field("ernie", description="objective")
    next_sentence: bool = Field(
        True,
        description="padded pairs of segments, and whether the second follows the first, as a further loss",
    )
    links: Literal["first", "alternate"] = Field(
        "first",
        description="linked tokens of a mention: its first, as in the paper; or its first, third, fifth and so on, as "
        "the released code makes its data",
    )
    entity_split: tuple[Share, Share, Share] = Field(
        (0.8, 0.15, 0.05),
        description="shares of links that are shown, dropped, and replaced by another entity of the step",
    )
    dea_weight: float = Field(
        1.0, ge=0, description="weight of the loss of denoising entities; 0: without, and links are only read"
    )

    @model_validator(mode="after")
    def _entity_shares(self) -> Self:
        if abs(sum(self.entity_split) - 1) > 1e-6:
            raise ValueError(
                f"entity_split: three shares that add up to 1, not to {sum(self.entity_split):g}"
            )
        return self

    def check(self, model: ModelConfig) -> list[Problem]:
        """Incompatible settings of the objective and its model."""
        return require_pairs("objective.next_sentence", model) if self.next_sentence else []

    def beginning(self, model: ModelConfig, entity_size: int | None) -> ModelConfig:
        """The config of an ERNIE initialised from a BERT, with the layer types of the released model."""
        from nlptool.models.bert.config import Config as BertConfig
        from nlptool.objectives.ernie.as_bert import of_bert

        if isinstance(model, BertConfig) and entity_size is not None:
            return of_bert(model, entity_size)
        return model

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", teacher: ModelConfig | None = None
    ) -> "Ernie":
        """Over pairs of segments, or packed rows."""
        from nlptool.objectives.ernie.objective import build

        return build(self, model, vocabulary)
