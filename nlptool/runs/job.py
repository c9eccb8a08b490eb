"""What a training command hands to the loop, and what it gets back."""

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
    """The blocks of a recipe that every training command has."""

    recipe: RecipeBlock
    out: Path
    train: TrainConfigBase
    evaluate_every: int
    save: Save
    track: tuple[Tracker, ...]
    seed: int


@dataclass(frozen=True)
class TrainingJob:
    """What a command brings to the loop."""

    objective: Objective
    batches: PrefetchingLoader
    evaluate: Callable[[State, SignalHandler], dict[str, float]] | None
    """Held-out figures; None where there is nothing to evaluate on."""
    steps: int
    seconds: float | None
    """A time budget in place of steps."""
    cost: Callable[[Batch], float]
    """FLOPs of a training step with one micro-batch, on this rank."""
    export: Callable[[Path], None]
    """Writes the finished model as a Hugging Face folder."""
    evaluate_first: bool = False
    """Whether held-out figures are also wanted before the first step, as of weights that were trained before."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Learning rates of parameters as shares of the step's; 1 for those not named."""
    patience: int | None = None
    """The run ends when so many evaluations in turn have brought nothing better than the best."""
    best: bool = False
    """Whether the result is the best checkpoint, in place of the last."""
    models: Mapping[str, Path] = field(default_factory=dict)
    """Folders of models that every step reads, by the recipe's key; a run resumes with the same ones only."""
    model_card: bool = True
    """Whether the result is a Hugging Face folder, which has a model card."""
    stages: tuple[int, ...] = (0,)
    """The step, from 0, at which each stage begins."""


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
    """Held-out figures before the first step, where these were wanted."""
