"""How long a run's steps are on this machine, and what memory they use, found by taking some of them."""

import time
from dataclasses import dataclass

import torch

from nlptool.commands.pretrain import run
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.console import Console
from nlptool.data.batches import Batches, Stage
from nlptool.launch import ALONE
from nlptool.models.malloc import keep_freed_memory
from nlptool.runs.machine import memory_used, peak_memory_used
from nlptool.train import distributed
from nlptool.train.interrupts import SignalHandler
from nlptool.train.optim import Adam
from nlptool.train.trainer import State, train

STEPS, WARM_UP = 20, 5  # of a probe; the first ones are slower and not counted
LONGEST = 2.0  # seconds that a step of a probe should take at most; longer ones are cut to fewer sequences
QUICK = 0.5  # seconds: below, more sequences are tried, since they may cost a GPU no more time


@dataclass(frozen=True)
class Probe:
    """What the steps of one stage took."""

    rows: int
    """Sequences of a step of the probe; the recipe's batch, or fewer where that takes long."""
    micro_batch: int
    """Of these, at once."""
    steps: int
    """Steps that were timed."""
    step: float
    """Seconds of a step of the probe."""
    seconds: float
    """Of a step of the recipe: those of the probe, in proportion to the sequences."""
    tokens_per_second: float
    """Real tokens."""
    memory: int
    """The most bytes that were in use up to then, less those before the net was made. On a CPU what torch's own
    code takes when it is first used counts too: tens of MB."""


def probe(setup: PretrainSetup, console: Console) -> list[Probe]:
    """Take some steps of each stage, with the trainer, and leave no trace but the time.

    Raises UsageError when this machine cannot carry out the recipe.
    """
    keep_freed_memory()
    world = distributed.join(ALONE)
    before = memory_used(world.device)
    torch.manual_seed(setup.seed)
    runner = _Runner(setup, world)
    found = []
    for stage, examples in setup.stages:
        console.note(f"taking up to {STEPS} steps of {stage.batch:,} x {stage.length:,} tokens")
        found.append(runner.probe(Stage(0, stage.batch, examples), before))
    return found


class _Runner:
    """A net and its optimiser, that steps are taken with."""

    def __init__(self, setup: PretrainSetup, world: distributed.DistributedContext) -> None:
        self.world, self.train, self.seed = world, setup.train, setup.seed
        self.objective = run.training_job(setup, world).objective.to(world.device)
        self.state = State(self.objective, Adam(self.objective, setup.train.optimizer))

    def probe(self, stage: Stage, before: int) -> Probe:
        most = stage.batch // self.train.accumulate
        rows = stage.batch if self.train.compile else self._affordable(stage, most)
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
            memory=max(0, peak_memory_used(self.world.device) - before),
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
        taken = train(
            self.state,
            self.objective,
            batches,
            self.train,
            steps=steps,
            seed=self.seed,
            world=self.world,
            interrupts=SignalHandler(alone=True),  # not entered: Ctrl-C stops a probe as any other program
        )
        times, last = [], time.perf_counter()
        for step in taken:
            step.grad_norm.item()  # waits for the device
            now = time.perf_counter()
            times.append(now - last)
            last = now
        return times, self.state.tokens / len(times)


def _cut(rows: int, most: int) -> tuple[int, int]:
    """As many rows as make whole micro-batches of at most `most`, and how many of these they make."""
    return (rows, 1) if rows <= most else (rows // most * most, rows // most)
