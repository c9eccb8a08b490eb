"""The training loop, independent of what it minimises.

`train` is a generator. It yields after every step; logging, evaluating and saving are the caller's business.
Step n is a function of (state before it, n): its batch is batches.get(n), its dropout comes from (seed, n).
So the state to save is the weights, the optimiser and n, and a run that resumes takes the same steps to the
same bits.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nlptool.data.batch_threads import for_each_batch
from nlptool.data.batches import Batch, BatchSource
from nlptool.errors import Preempted
from nlptool.train.config import TrainConfigBase
from nlptool.train.distributed import DistributedContext, connected
from nlptool.train.interrupts import SignalHandler
from nlptool.train.optim import Adam
from nlptool.train.schedule import learning_rate


class Objective(Protocol):
    """The trainer's view of an objective; nlptool.objectives.base.Objective implements it."""

    weights: dict[str, float]

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Loss terms as sums over batch.counts[term]."""
        ...

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """Held-out sums."""
        ...

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """Held-out figures."""
        ...


@dataclass
class State:
    """Everything that a step changes."""

    module: nn.Module
    optimizer: Adam
    step: int = 0
    tokens: int = 0
    flops: float = 0.0
    """Sum over all ranks, added up step by step as tokens are."""
    elapsed: float = 0.0
    lr: float = 0.0
    """Learning rate of the last step."""


@dataclass(frozen=True)
class Step:
    """The result of one step. Tensors stay on their device until they are read."""

    number: int
    """Steps taken so far, this one included."""
    sums: dict[str, Tensor]
    """Loss sums of this rank; divide by counts."""
    counts: dict[str, int]
    """Predictions per term, of this rank."""
    lr: float
    grad_norm: Tensor
    """[] before clipping; not finite when the step was skipped."""
    tokens: int
    """Real tokens of all ranks in this step."""
    flops: float = 0.0
    """Sum over all ranks in this step."""


def free(batch: Batch) -> float:
    """The cost of a micro-batch where FLOPs are not counted."""
    return 0.0


def train(
    state: State,
    objective: Objective,
    batches: BatchSource,
    config: TrainConfigBase,
    *,
    steps: int,
    seed: int,
    world: DistributedContext,
    interrupts: SignalHandler,
    seconds: float | None = None,
    cost: Callable[[Batch], float] = free,
) -> Iterator[Step]:
    """Take steps state.step .. steps - 1.

    A step whose gradient is not finite leaves the weights as they were; the caller sees it in grad_norm.
    cost: FLOPs of a training step with one micro-batch, on this rank.
    seconds: a time budget; it replaces steps as the measure of progress, and ends the run.
    Raises Preempted after a signal; the state is then that of the last whole step.
    """
    model = torch.compile(state.module, dynamic=False) if config.compile else state.module
    module = world.wrap(model)  # type: ignore[arg-type]
    started = time.monotonic() - state.elapsed
    while state.step < steps:
        number = state.step
        micro_batches = batches.get(number)
        terms = sorted(objective.weights)
        own = [sum(batch.counts.get(term, 0) for batch in micro_batches) for term in terms]
        spent = [sum(batch.tokens for batch in micro_batches), sum(map(cost, micro_batches))]
        *totals, tokens, flops, stopping = world.sum([*own, *spent, interrupts.arrived])
        if stopping:
            raise Preempted(f"stopped by {interrupts.name or 'a signal to another rank'}")
        scale = {
            term: objective.weights[term] / max(total, 1) for term, total in zip(terms, totals, strict=True)
        }

        module.train()
        state.optimizer.zero_grad()
        seeds = [derive_seed(seed, number, world.rank, index) for index in range(len(micro_batches))]
        sums = _backward(module, micro_batches, seeds, scale, config, world)
        norm, excess = state.optimizer.clip(config.max_grad_norm, config.clip_scope)
        progress = number / steps
        if seconds is not None:
            progress = world.from_rank0(min(1.0, (time.monotonic() - started) / seconds))
        lr = learning_rate(config, number, steps, progress)
        with interrupts.shield():
            state.optimizer.step(lr, excess, ~norm.isfinite())
            state.step = number + 1
            state.tokens += int(tokens)
            state.flops += flops
            state.lr = lr
            state.elapsed = time.monotonic() - started
        counts = dict(zip(terms, own, strict=True))
        yield Step(number + 1, sums, counts, lr, norm, int(tokens), flops)
        if progress >= 1:
            return


def _backward(
    module: nn.Module,
    micro_batches: list[Batch],
    seeds: list[int],
    scale: dict[str, float],
    config: TrainConfigBase,
    world: DistributedContext,
) -> dict[str, Tensor]:
    """Accumulate the gradient of the scaled sums over all micro-batches, and return the sums of this rank."""
    sums: dict[str, Tensor] = {}
    for index, (batch, seed) in enumerate(zip(micro_batches, seeds, strict=True)):
        seed_dropout(seed, world.device)
        last = index == len(micro_batches) - 1
        with nullcontext() if last or world.size == 1 else module.no_sync():  # type: ignore[operator]
            with torch.autocast(world.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                losses = module(batch.to(world.device))
            # DistributedDataParallel averages over ranks; we need the sum over them
            loss = sum(scale[term] * losses[term] for term in scale).mul(world.size)
            with connected() if world.size > 1 else nullcontext():
                loss.backward()
        for term in scale:
            value = losses[term].detach()
            sums[term] = sums[term] + value if term in sums else value
    return sums


def seed_dropout(seed: int, device: torch.device) -> None:
    """Seed the generators of the CPU and of `device` with the numbers that torch.manual_seed would use.

    torch.manual_seed records a stack trace for every kind of unused accelerator: milliseconds in each step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


@torch.no_grad()
def held_out(
    state: State,
    objective: Objective,
    batches: BatchSource,
    number: int,
    config: TrainConfigBase,
    world: DistributedContext,
    interrupts: SignalHandler,
) -> dict[str, float]:
    """Figures over held-out batches 0 .. number - 1, all ranks together. Raises Preempted like `train`."""
    state.module.eval()
    totals: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for index in range(number):
        for batch in batches.get(index):
            with torch.autocast(world.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                sums = objective.measure(batch.to(world.device))
            for name, value in sums.items():
                totals[name] = totals.get(name, 0) + value.double()
            for name, count in batch.counts.items():
                counts[name] = counts.get(name, 0) + count
    # A rank may have no batch.
    names = world.gather_union(counts)
    *summed, stopping = world.sum([*(counts.get(name, 0) for name in names), interrupts.arrived])
    if stopping:
        raise Preempted(f"stopped by {interrupts.name or 'a signal to another rank'}")
    state.module.train()
    return objective.summary(
        world.sum_tensors(totals), {name: int(value) for name, value in zip(names, summed, strict=True)}
    )


def predictions(
    module: nn.Module,
    predict: Callable[[Batch], Tensor],
    batches: BatchSource,
    number: int,
    shape: tuple[int, int],
    precision: str,
    world: DistributedContext,
    interrupts: SignalHandler,
) -> Tensor:
    """The outputs of `predict` for each row, float64 `shape` [rows, width] on the CPU, all of it on every rank.

    Batches 0 .. number - 1 hold every row once, over all ranks, with its number in batch["row"]; `predict` gives
    `width` numbers a row. It is for metrics that are not means, such as a rank correlation.
    Raises Preempted like `train`.
    """
    training = module.training
    module.eval()
    gathered = torch.zeros(shape, dtype=torch.float64, device=world.device)

    def answer(index: int) -> None:
        for batch in batches.get(index):
            with torch.autocast(world.device.type, torch.bfloat16, enabled=precision == "bf16"):
                outputs = predict(batch.to(world.device))
            gathered[batch["row"].to(world.device)] = outputs.double()

    for_each_batch(answer, number, world.device)
    (stopping,) = world.sum([interrupts.arrived])
    if stopping:
        raise Preempted(f"stopped by {interrupts.name or 'a signal to another rank'}")
    if training:  # else dropout would set in for another thread that asks the same module
        module.train()
    return world.sum_tensors({"rows": gathered})["rows"].cpu()


def derive_seed(*numbers: int) -> int:
    """One 63-bit seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
