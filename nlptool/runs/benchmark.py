"""Times some steps of a run on this machine, and measures their memory."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from nlptool.console import Console
from nlptool.data.batches import Batches, BatchSource, Stage
from nlptool.errors import UsageError
from nlptool.launch import ALONE
from nlptool.objectives.base import Objective
from nlptool.runs.job import TrainingJob
from nlptool.runs.machine import memory_used, peak_memory_used
from nlptool.train import distributed
from nlptool.train.config import PretrainConfig, TrainConfigBase
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler
from nlptool.train.optim import Adam
from nlptool.train.trainer import State, Step, train

STEPS, WARM_UP = 20, 5  # steps of a probe; the first ones are slower and not counted
LONGEST = 2.0  # longest step of a probe in seconds; a longer one gets fewer sequences
QUICK = 0.5  # seconds below which more sequences are tried, since they may take a GPU no more time


@dataclass(frozen=True)
class Probe:
    """Timing of the steps of one stage."""

    rows: int
    """Sequences of a step of the probe; the recipe's batch, or fewer if that takes long."""
    micro_batch: int
    """Sequences of a micro-batch."""
    steps: int
    """Steps that were timed."""
    step: float
    """Seconds of a step of the probe."""
    seconds: float
    """Seconds of a step of the recipe: those of the probe, in proportion to the sequences."""
    tokens_per_second: float
    """Real tokens."""
    memory: int
    """Peak memory in bytes, minus that before the model was built; on a CPU with tens of MB of torch's own code."""


def timed_steps(
    state: State,
    objective: Objective,
    batches: BatchSource,
    config: TrainConfigBase,
    steps: int,
    seed: int,
    world: DistributedContext,
) -> Iterator[tuple[Step, float]]:
    """The first steps of a run, each with its seconds on the device."""
    signals = SignalHandler(alone=True)  # not entered: Ctrl-C stops a probe like any other program
    last = time.perf_counter()
    for step in train(
        state, objective, batches, config, steps=steps, seed=seed, world=world, interrupts=signals
    ):
        step.grad_norm.item()  # waits for the device
        now = time.perf_counter()
        yield step, now - last
        last = now


class StageProbe:
    """A model and its optimiser, for timing steps of each stage. before: bytes in use without them."""

    def __init__(
        self, objective: Objective, config: PretrainConfig, seed: int, world: DistributedContext, before: int
    ) -> None:
        self.config, self.seed, self.world, self.before = config, seed, world, before
        self.objective = objective.to(world.device)
        self.state = State(self.objective, Adam(self.objective, config.optimizer))

    def probe(self, stage: Stage) -> Probe:
        """Time some steps of the trainer; the state is not kept."""
        most = stage.batch // self.config.gradient_accumulation
        rows = stage.batch if self.config.compile else self._affordable(stage, most)
        rows, accumulate = _cut(rows, most)
        times, tokens = self._take(stage, rows, accumulate, STEPS)
        times = times[min(WARM_UP, len(times) // 2) :]
        step = sum(times) / len(times)
        return Probe(
            rows=rows,
            micro_batch=rows // accumulate,
            steps=len(times),
            step=step,
            seconds=step * stage.batch / rows,
            tokens_per_second=tokens / step,
            memory=max(0, peak_memory_used(self.world.device) - self.before),
        )

    def _affordable(self, stage: Stage, most: int) -> int:
        """Number of sequences whose step takes about LONGEST, or all."""
        rows = 1
        while True:
            rows, accumulate = _cut(rows, most)
            (*_, seconds), _ = self._take(stage, rows, accumulate, 2)
            if rows == stage.batch or seconds > QUICK:
                return min(stage.batch, max(1, int(rows * LONGEST / seconds)))
            rows = min(stage.batch, 4 * rows)

    def _take(self, stage: Stage, rows: int, accumulate: int, steps: int) -> tuple[list[float], float]:
        """Seconds of each of the first steps, and mean tokens of a step."""
        batches = Batches(
            [stage._replace(batch=rows)], self.objective.collate, seed=self.seed, accumulate=accumulate
        )
        self.state.step = self.state.tokens = 0
        self.state.elapsed = 0.0
        taken = timed_steps(self.state, self.objective, batches, self.config, steps, self.seed, self.world)
        times = [seconds for _, seconds in taken]
        return times, self.state.tokens / len(times)


def stage_probe(
    train: PretrainConfig, seed: int, build: Callable[[DistributedContext], TrainingJob], console: Console
) -> StageProbe | None:
    """Times the steps of a job's stages; None, with a note, if the recipe cannot run on this machine.

    Such a recipe may be for another machine. build: builds the job on one rank; raises UsageError if it cannot.
    """
    world = distributed.join(ALONE)
    before = memory_used(world.device)
    torch.manual_seed(seed)
    try:
        job = build(world)
    except UsageError as error:
        console.note(f"no time estimate: {error.message}")
        return None
    return StageProbe(job.objective, train, seed, world, before)


def _cut(rows: int, most: int) -> tuple[int, int]:
    """As many rows as fill whole micro-batches of at most `most` rows, and the number of micro-batches."""
    return (rows, 1) if rows <= most else (rows // most * most, rows // most)
