"""How long a run's steps are on this machine, and what memory they use, found by taking some of them."""

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

STEPS, WARM_UP = 20, 5  # of a probe; the first ones are slower and not counted
LONGEST = 2.0  # seconds that a step of a probe should take at most; longer ones are cut to fewer sequences
QUICK = 0.5  # seconds: below, more sequences are tried, since they may cost a GPU no more time


@dataclass(frozen=True)
class Probe:
    """What the steps of one stage took."""

    rows: int
    """Sequences of a step of the probe; the recipe's batch, or fewer where that takes long."""
    micro_batch: int
    """Sequences at once."""
    steps: int
    """Steps that were timed."""
    step: float
    """Seconds of a step of the probe."""
    seconds: float
    """Seconds of a step of the recipe: those of the probe, in proportion to the sequences."""
    tokens_per_second: float
    """Real tokens."""
    memory: int
    """The most bytes that were in use up to then, less those before the model was made. On a CPU what torch's own
    code takes when it is first used counts too: tens of MB."""


def timed_steps(
    state: State,
    objective: Objective,
    batches: BatchSource,
    config: TrainConfigBase,
    steps: int,
    seed: int,
    world: DistributedContext,
) -> Iterator[tuple[Step, float]]:
    """The first steps of a run, each with the seconds that it took on the device."""
    signals = SignalHandler(alone=True)  # not entered: Ctrl-C stops a probe as any other program
    last = time.perf_counter()
    for step in train(
        state, objective, batches, config, steps=steps, seed=seed, world=world, interrupts=signals
    ):
        step.grad_norm.item()  # waits for the device
        now = time.perf_counter()
        yield step, now - last
        last = now


class StageProbe:
    """A model and its optimiser, with which steps of each stage are taken. before: bytes in use without them."""

    def __init__(
        self, objective: Objective, config: PretrainConfig, seed: int, world: DistributedContext, before: int
    ) -> None:
        self.config, self.seed, self.world, self.before = config, seed, world, before
        self.objective = objective.to(world.device)
        self.state = State(self.objective, Adam(self.objective, config.optimizer))

    def probe(self, stage: Stage) -> Probe:
        """Take some steps, with the trainer, and leave no trace but the time."""
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
        """Sequences whose step takes about LONGEST, or all."""
        rows = 1
        while True:
            rows, accumulate = _cut(rows, most)
            (*_, seconds), _ = self._take(stage, rows, accumulate, 2)
            if rows == stage.batch or seconds > QUICK:
                return min(stage.batch, max(1, int(rows * LONGEST / seconds)))
            rows = min(stage.batch, 4 * rows)

    def _take(self, stage: Stage, rows: int, accumulate: int, steps: int) -> tuple[list[float], float]:
        """Seconds of each of the first steps, and tokens of a step on average."""
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
    """What times the steps of a job's stages; None, with a note, where this machine cannot carry out the recipe.

    That recipe may be for another machine. build: makes the job on one rank; UsageError where it cannot be.
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
    """As many rows as make whole micro-batches of at most `most`, and how many of these they make."""
    return (rows, 1) if rows <= most else (rows // most * most, rows // most)
