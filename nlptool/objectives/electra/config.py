"""The recipe block of ELECTRA's replaced-token detection. No torch here."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from nlptool.models.config import ModelConfig
from nlptool.models.electra.config import Config as Electra
from nlptool.objectives.config import ObjectiveConfig
from nlptool.recipe import Problem

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.objectives.electra.objective import Electra as ElectraObjective

Loss = Literal["rtd", "rtd_masked", "replace_mlm", "all_tokens"]
BINARY = ("rtd", "rtd_masked")


class Config(ObjectiveConfig):
    """Replaced-token detection (Clark et al. 2020, section 3.1), with the variants of its sections 3.2 and 3.5.

    A small masked LM, the generator, fills masked positions with samples; the model of the recipe, the
    discriminator, predicts for every token whether it is the original one. Both are trained at once, and no gradient
    passes from one to the other through the samples.

    input_format: `packed` rows are full of text, as in objective mlm; they have one segment, so the embedding of the
    second is not trained, and final/ has a copy of the first for it. `segments` are the rows of Google's
    build_pretraining_dataset.py, [CLS] A [SEP] B [SEP], as tasks of two texts need; no loss depends on B.

    loss: `rtd` is ELECTRA. `rtd_masked`, ELECTRA 15 %, takes the loss at masked positions only. `replace_mlm`
    predicts the original tokens at the masked positions, where the input has samples in place of [MASK].
    `all_tokens` predicts the original token everywhere, with a gate that may copy the input (sections 3.5 and 3.2's
    end).
    """

    only_command: ClassVar[str | None] = "pretrain-electra"
    name: Literal["electra"] = Field("electra", description="objective")
    loss: Loss = Field(
        "rtd",
        description="rtd: ELECTRA, replaced-token detection; the baselines rtd_masked (ELECTRA 15 %), replace_mlm, "
        "all_tokens",
    )
    mask_rate: float = Field(0.15, gt=0, lt=1, description="share of each row's tokens that may be replaced")
    input_format: Literal["packed", "segments"] = Field(
        "packed", description="packed: full rows of text; segments: one or two segments, padded, as Google's"
    )
    masking: Literal["paper", "code"] = Field(
        "paper",
        description="paper: distinct positions, all masked; code: drawn with replacement, 85 % masked, as Google's",
    )
    generator_size: float = Field(
        0.25, gt=0, le=1, description="width of the generator as a share of model.hidden"
    )
    generator_layers: float = Field(
        1.0, gt=0, le=1, description="layers of the generator as a share of model.layers"
    )
    tie: Literal["embeddings", "none", "all"] = Field(
        "embeddings",
        description="weights that generator and discriminator share; all: everything except their heads",
    )
    discriminator_weight: float = Field(
        0,
        ge=0,
        validate_default=True,
        description="weight of the discriminator's loss; the generator's is 1; 0: 50, or 1 where "
        "the loss predicts tokens",
    )
    temperature: float = Field(1.0, gt=0, description="sampling temperature of the generator")

    @field_validator("discriminator_weight")
    @classmethod
    def _of_the_paper(cls, weight: float, info: ValidationInfo) -> float:
        return weight or (50.0 if info.data.get("loss") in BINARY else 1.0)

    @property
    def detects(self) -> bool:
        """Whether replaced tokens are detected rather than predicted."""
        return self.loss in BINARY

    def generator_config(self, model: Electra) -> Electra:
        """The generator's shape, as in Google's code: heads of 64, MLPs of four times the width.

        Embeddings of its own are as wide as its layers (embedding_size=None in run_pretraining.py).

        Raises ValueError where there is no such model.
        """
        if self.tie == "all":
            return model
        hidden = round(model.hidden * self.generator_size)
        shape = {"layers": round(model.layers * self.generator_layers), "hidden": hidden}
        width = hidden if self.tie == "none" else model.embedding_size
        shape |= {"heads": max(1, hidden // 64), "intermediate": 4 * hidden, "embedding_size": width}
        return Electra.model_validate(model.model_dump() | shape)

    def check(self, model: ModelConfig) -> list[Problem]:
        """Incompatible settings of the objective and its model."""
        if not isinstance(model, Electra):
            return [
                Problem(
                    "model.name",
                    "replaced-token detection trains the family electra; set model.name=electra",
                )
            ]
        if self.tie == "all" and (self.generator_size, self.generator_layers) != (1, 1):
            return [
                Problem(
                    "objective.tie",
                    "generator and discriminator can share all weights only if they are of one size; "
                    "set objective.generator_size=1, or objective.tie=embeddings",
                )
            ]
        if round(model.layers * self.generator_layers) < 1:
            return [
                Problem(
                    "objective.generator_layers",
                    f"{self.generator_layers:g} of model.layers ({model.layers}) is not one layer",
                )
            ]
        try:
            self.generator_config(model)
        except ValueError:
            hidden = round(model.hidden * self.generator_size)
            return [
                Problem(
                    "objective.generator_size",
                    f"{self.generator_size:g} of model.hidden makes a generator {hidden} wide, which {hidden // 64} "
                    "heads cannot share; choose a share that gives a multiple of 64, or a width from 1 to 127",
                )
            ]
        return []

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", teacher: ModelConfig | None = None
    ) -> "ElectraObjective":
        """Discriminator and generator."""
        from nlptool.objectives.electra import objective

        assert isinstance(model, Electra)  # `check` has made sure
        return objective.build(self, model, vocabulary)
