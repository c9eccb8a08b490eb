"""The recipe block of general distillation. No torch here."""

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nlptool.models.config import ModelConfig
from nlptool.objectives.config import MaskingConfig
from nlptool.recipe import Problem

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.objectives.distill.objective import DistillationObjective


class Config(MaskingConfig):
    """A student learns from a teacher's predictions and intermediate representations; weight 0 drops a term.

    The defaults are DistilBERT's (Sanh et al. 2019, section 3, and the weights of its code's README). TinyBERT's
    general stage is hidden, attention and embedding 1, all others 0 (Jiao et al. 2020, section 3.2). Masking
    concerns encoders; where neither kl nor lm_loss has a weight nothing is masked, as in TinyBERT's code.
    """

    only_command: ClassVar[str | None] = "distill"
    needs_teacher = True
    name: Literal["distill"] = Field("distill", description="objective")
    kl: float = Field(5.0, ge=0, description="weight of the KL divergence from the teacher's distribution")
    lm_loss: float = Field(2.0, ge=0, description="weight of the language model's own loss, masked or causal")
    cosine: float = Field(1.0, ge=0, description="weight of 1 - cosine of the last hidden states")
    hidden: float = Field(
        0.0, ge=0, description="weight of the squared error of hidden states, layer by layer"
    )
    attention: float = Field(0.0, ge=0, description="weight of the squared error of attention scores")
    embedding: float = Field(0.0, ge=0, description="weight of the squared error of the embeddings")
    temperature: float = Field(2.0, gt=0, description="temperature of both distributions in kl")
    kl_positions: Literal["all", "masked"] = Field(
        "all",
        description="where a masked LM's kl is computed: at all positions, or at the masked ones, for less work",
    )
    cache_top_k: int = Field(
        0,
        ge=0,
        description="cache the teacher's top-k log-probabilities on disk in the first epoch; later epochs are the same "
        "rows and masks in another order, and need no teacher; 0: the teacher reads every batch",
    )
    layer_map: Literal["uniform", "top", "bottom"] | tuple[int, ...] = Field(
        "uniform",
        description="teacher layers that hidden and attention are compared with, or a list of them, from 1",
    )

    def idle(self) -> dict[str, str]:
        """Settings of the teacher's distribution, where it is not learnt."""
        return {} if self.kl else dict.fromkeys(("temperature", "kl_positions"), "objective.kl is 0")

    @model_validator(mode="after")
    def _reaches_the_last_layer(self) -> Self:
        if not self.terms.keys() & {"kl", "lm_loss", "cosine", "hidden"}:
            raise ValueError(
                "give one of kl, lm_loss, cosine and hidden a weight, or the last layer learns nothing"
            )
        return self

    @model_validator(mode="after")
    def _keeps_predictions_only(self) -> Self:
        others = [name for name in ("cosine", "hidden", "attention", "embedding") if getattr(self, name)]
        if self.cache_top_k and (others or not self.kl):
            raise ValueError(
                f"cache_top_k: only what kl needs is cached; set {', '.join(others)} to 0"
                if others
                else "cache_top_k: what kl needs is cached, and kl is 0"
            )
        return self

    @model_validator(mode="after")
    def _looks_at_layers(self) -> Self:
        if self.layer_map != "uniform" and not self.hidden and not self.attention:
            raise ValueError("layer_map: only hidden and attention compare layers, and both are 0")
        return self

    @property
    def terms(self) -> dict[str, float]:
        """The weights other than 0."""
        names = ("kl", "lm_loss", "cosine", "hidden", "attention", "embedding")
        return {name: weight for name in names if (weight := getattr(self, name))}

    def check(self, model: ModelConfig) -> list[Problem]:
        """Incompatible settings of the objective and its student."""
        if self.kl_positions == "masked" and model.kind == "decoder":
            return [Problem("objective.kl_positions", "a causal language model masks nothing; leave it out")]
        return []

    def check_teacher(self, model: ModelConfig, teacher: ModelConfig, vocab_size: int) -> list[Problem]:
        """Incompatible settings of student and teacher."""
        if model.kind != teacher.kind:
            kinds = {"encoder": "an encoder", "decoder": "a decoder"}
            return [Problem("teacher", f"is {kinds[teacher.kind]}, and the student {kinds[model.kind]}")]
        from nlptool.distill.layer_map import layer_map

        problems = []
        if self.cosine and model.hidden != teacher.hidden:
            text = (
                f"compares states of one width; the student has {model.hidden}, the teacher {teacher.hidden}"
            )
            problems.append(Problem("objective.cosine", f"{text}; set it to 0, hidden learns across widths"))
        if self.attention and model.heads != teacher.heads:
            text = f"compares head by head; the student has {model.heads}, the teacher {teacher.heads}"
            problems.append(Problem("objective.attention", f"{text}; set it to 0, or model.heads"))
        if self.hidden or self.attention:
            try:
                layer_map(teacher.layers, model.layers, self.layer_map)
            except ValueError as error:
                problems.append(Problem("objective.layer_map", str(error)))
        if self.cache_top_k >= vocab_size:
            text = f"its vocabulary has {vocab_size:,} tokens; keep fewer"
            problems.append(Problem("objective.cache_top_k", text))
        return problems

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", teacher: ModelConfig | None = None
    ) -> "DistillationObjective":
        """A student and its teacher."""
        from nlptool.objectives.distill import objective

        assert teacher is not None  # the command makes sure
        return objective.build(self, model, vocabulary, teacher)
