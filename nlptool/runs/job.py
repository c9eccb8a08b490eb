"""The interface between training commands and the training loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nlptool.data.batches import Batch, PrefetchingLoader
from nlptool.objectives.base import Objective
from nlptool.recipe import RecipeBlock
from nlptool.runs.metrics_file import Tracker
from nlptool.train.config import Save, TrainConfigBase
from nlptool.train.interrupts import SignalHandler
from nlptool.train.trainer import State


@dataclass(frozen=True)
class RunConfig:
    """The recipe blocks common to all training commands."""

    recipe: RecipeBlock
    out: Path
    train: TrainConfigBase
    evaluate_every: int
    save: Save
    track: tuple[Tracker, ...]
    seed: int


@dataclass(frozen=True)
class TrainingJob:
    """What a command gives to the loop."""

    objective: Objective
    batches: PrefetchingLoader
    evaluate: Callable[[State, SignalHandler], dict[str, float]] | None
    """Held-out figures; None without held-out data."""
    steps: int
    seconds: float | None
    """A time budget in place of steps."""
    cost: Callable[[Batch], float]
    """FLOPs of a training step with one micro-batch, on this rank."""
    export: Callable[[Path], None]
    """Writes the finished model as a Hugging Face folder."""
    evaluate_first: bool = False
    """Whether to evaluate before the first step, too, as for pretrained weights."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Learning rates of parameters as fractions of the step's; 1 for those not named."""
    patience: int | None = None
    """The run ends after this many evaluations without an improvement."""
    best: bool = False
    """Whether the result is the best checkpoint rather than the last."""
    models: Mapping[str, Path] = field(default_factory=dict)
    """Folders of models that every step reads, by the recipe's key; a run resumes with the same ones only."""
    model_card: bool = True
    """Whether the result is a Hugging Face folder with a model card."""
    stages: tuple[int, ...] = (0,)
    """First step, from 0, of each stage."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    steps: int
    tokens: int
    seconds: float
    training: dict[str, float]
    heldout: dict[str, float]
    final: Path
    heldout_before: dict[str, float] = field(default_factory=dict)
    """Held-out figures before the first step, if requested."""
