"""Recipe blocks of the trainer. No torch here: a broken recipe must fail before torch is imported."""

from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from nlptool.formatting import counted
from nlptool.recipe import RESUMABLE, Budget, Problem, RecipeBlock

# Beyond any run; larger numbers could overflow.
MOST_ROWS, MOST_STEPS = (2**24, 10**12)


class Optimizer(RecipeBlock):
    """AdamW (Loshchilov & Hutter 2019) or LAMB (You et al. 2020).

    BERT, ALBERT and ELECTRA train without bias correction; the LAMB of the paper has it, ALBERT's code does not.
    """

    name: Literal["adamw", "lamb"] = Field(
        "adamw", description="the update rule; lamb: for batches of thousands of sequences"
    )
    betas: tuple[float, float] = Field(
        (0.9, 0.999), description="decay of the first and second moment", json_schema_extra=RESUMABLE
    )
    eps: float = Field(
        1e-6, gt=0, description="added to the root of the second moment", json_schema_extra=RESUMABLE
    )
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="decoupled decay of matrices; never of biases and layer norms",
        json_schema_extra=RESUMABLE,
    )
    bias_correction: bool = Field(
        True, description="divide the moments by 1 - beta^t; Google's BERT, ALBERT and ELECTRA code does not"
    )


class Stage(RecipeBlock):
    """A stretch of the run with its own sequence length and batch, e.g. BERT's last tenth at 512 tokens."""

    sequence_length: int = Field(
        gt=3, le=MOST_ROWS, description="tokens per sequence, special tokens included"
    )
    batch_size: int = Field(
        gt=0, le=MOST_ROWS, description="sequences per step, over all ranks and micro-batches"
    )
    share: float = Field(gt=0, le=1, description="fraction of the run's steps")


class TrainConfigBase(RecipeBlock):
    """Steps and updates, common to pretraining and fine-tuning."""

    batch_size: int = Field(
        32, gt=0, le=MOST_ROWS, description="sequences per step, over all ranks and micro-batches"
    )
    sequence_length: int = Field(
        128, gt=3, le=MOST_ROWS, description="tokens per sequence, special tokens included"
    )
    gradient_accumulation: int = Field(
        1,
        gt=0,
        le=MOST_ROWS,
        description="micro-batches per rank and step; changes memory, not results",
        json_schema_extra=RESUMABLE,
    )
    lr: float = Field(1e-4, gt=0, description="peak learning rate", json_schema_extra=RESUMABLE)
    warmup: int | float = Field(
        0.01,
        ge=0,
        description="warm-up steps, or a fraction of the run if below 1",
        json_schema_extra=RESUMABLE,
    )
    schedule: Literal["linear", "linear_bert", "linear_from_peak", "cosine", "wsd", "constant"] = Field(
        "linear",
        description="learning-rate schedule; linear: 1 - t/T, warm-up included (ELECTRA, GPT); linear_bert: "
        "the same, but only after warm-up (BERT, ALBERT); linear_from_peak: from the peak at the end of warm-up to "
        "0 (transformers, DistilBERT, TinyBERT)",
        json_schema_extra=RESUMABLE,
    )
    min_lr_ratio: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="final learning rate as a fraction of the peak",
        json_schema_extra=RESUMABLE,
    )
    cooldown: float = Field(
        0.2,
        gt=0,
        le=1,
        description="wsd: fraction of the run in which the rate falls",
        json_schema_extra=RESUMABLE,
    )
    max_grad_norm: float = Field(
        1.0, gt=0, description="gradient clipping: maximum norm", json_schema_extra=RESUMABLE
    )
    clip_scope: Literal["global", "tensor"] = Field(
        "global",
        description="scope of max_grad_norm; global: norm of all gradients; tensor: norm of each parameter's "
        "gradient, as in BertAdam (TinyBERT)",
    )
    optimizer: Optimizer = Field(Optimizer(), description="update rule and its constants")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16: autocast on a GPU, weights stay fp32", json_schema_extra=RESUMABLE
    )
    compile: bool = Field(
        False,
        description="torch.compile the objective: a minute at the start, faster steps on a GPU "
        "(on a CPU it needs a C++ compiler)",
        json_schema_extra=RESUMABLE,
    )
    activation_checkpointing: bool = Field(
        False,
        description="activation checkpointing: less memory, a third more work",
        json_schema_extra=RESUMABLE,
    )

    def idle(self) -> dict[str, str]:
        """Only wsd has a cooldown, and a constant rate has no floor."""
        found = {}
        if self.schedule != "wsd":
            found["cooldown"] = f"schedule is {self.schedule}, and wsd alone has a cooldown"
        if self.schedule == "constant":
            found["min_lr_ratio"] = "schedule is constant, so the rate does not fall"
        return found

    @field_validator("warmup")
    @classmethod
    def _steps_or_share(cls, warmup: int | float) -> int | float:
        if isinstance(warmup, float) and warmup >= 1 and not warmup.is_integer():
            raise ValueError("warmup is a whole number of steps, or a share below 1")
        return warmup


class PretrainConfig(TrainConfigBase):
    """The training block of pretraining.

    A run resumed with another number of steps follows the schedule of the new number, so the learning rate may jump,
    unless the schedule is constant, or wsd before its cooldown. Stages that have begun keep their first step; later
    ones begin at their shares of the new number of steps.
    """

    replaces = MappingProxyType(
        {"steps": ("budget",), "budget": ("steps",), "stages": ("batch_size", "sequence_length")}
    )

    steps: int | None = Field(
        None, gt=0, le=MOST_STEPS, description="optimiser steps; or give budget", json_schema_extra=RESUMABLE
    )
    budget: Budget | None = Field(
        None,
        description="instead of steps: 2B tokens, 1.5 epochs, 30 min, 1e17 flops",
        json_schema_extra=RESUMABLE,
    )
    stages: tuple[Stage, ...] = Field(
        (), description="in place of batch_size and sequence_length: several stages in turn"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.steps is None) == (self.budget is None):
            raise ValueError(
                "give either steps or budget, not both" if self.steps else "give steps or budget"
            )
        if self.stages and abs(sum(stage.share for stage in self.stages) - 1) > 1e-6:
            raise ValueError(
                f"the shares of stages must add up to 1, not {sum(s.share for s in self.stages):g}"
            )
        return self

    def idle(self) -> dict[str, str]:
        """Stages have their own batch_size and sequence_length."""
        why = "each of train.stages has its own; set train.stages.0.{0}, or remove the stages with ~train.stages"
        own = {key: why.format(key) for key in ("batch_size", "sequence_length")} if self.stages else {}
        return super().idle() | own

    def plan(self) -> tuple[Stage, ...]:
        """The stages; a single one where the recipe has one length and batch size."""
        return self.stages or (
            Stage(sequence_length=self.sequence_length, batch_size=self.batch_size, share=1.0),
        )


def micro_batch_problems(
    batch_size: int, micro_batches: int, rows: str = "sequences", key: str = "train.batch_size"
) -> list[Problem]:
    """The problem of a batch that its micro-batches do not divide; empty where they do."""
    if batch_size % micro_batches == 0:
        return []
    return [
        Problem(key, f"{counted(batch_size, rows)} cannot be cut into {micro_batches} equal micro-batches")
    ]


def _parts(given: Any) -> Any:
    """A single part counts as a list of one."""
    return (given,) if isinstance(given, int | str) and not isinstance(given, bool) else given


class FinetuneConfig(TrainConfigBase):
    """The training block of fine-tuning.

    Epochs, rate and warm-up are BERT's by default (Devlin et al. 2019, appendix A.3). Its update rule and schedule are
    not: schedule=linear_bert optimizer.bias_correction=false are, as recipe finetune/bert has them.
    """

    replaces = MappingProxyType({"steps": ("epochs",), "epochs": ("steps",)})

    epochs: float = Field(3.0, gt=0, description="passes over the training rows", json_schema_extra=RESUMABLE)
    steps: int | None = Field(
        None,
        gt=0,
        le=MOST_STEPS,
        description="in place of epochs: optimiser steps",
        json_schema_extra=RESUMABLE,
    )
    lr: float = Field(2e-5, gt=0, description="peak learning rate", json_schema_extra=RESUMABLE)
    warmup: int | float = Field(
        0.1,
        ge=0,
        description="warm-up steps, or a fraction of the run if below 1",
        json_schema_extra=RESUMABLE,
    )
    freeze: Annotated[
        tuple[Annotated[int, Field(ge=0)] | Literal["backbone", "embeddings"], ...],
        BeforeValidator(_parts, json_schema_input_type=int | str | tuple[int | str, ...]),
    ] = Field(
        (),
        description="frozen parts, without dropout: backbone, everything but the heads and the pooler, which then"
        " see fixed features (BERT, section 5.3); embeddings; numbers of layers, from 0",
    )
    layerwise_lr_decay: float = Field(
        1.0, gt=0, le=1, description="learning rate of a layer as a fraction of that of the layer above"
    )

    def idle(self) -> dict[str, str]:
        """`steps` replaces `epochs`."""
        return super().idle() | ({"epochs": "steps are given"} if self.steps is not None else {})


class Evaluate(RecipeBlock):
    """Held-out loss during training."""

    every: int = Field(
        500,
        gt=0,
        description="steps between evaluations; the last step always has one",
        json_schema_extra=RESUMABLE,
    )
    batches: int = Field(
        20, gt=0, description="held-out batches, always the same ones", json_schema_extra=RESUMABLE
    )


class Save(RecipeBlock):
    """Checkpoints."""

    every: int = Field(
        1000,
        gt=0,
        description="steps between checkpoints; the last step always has one",
        json_schema_extra=RESUMABLE,
    )
    keep_last: int = Field(
        2, gt=0, description="keep the newest N checkpoints, and the best one", json_schema_extra=RESUMABLE
    )
