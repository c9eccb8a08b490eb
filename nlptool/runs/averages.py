"""Averages over the steps between two lines of a run's log."""

import time

import torch
from torch import Tensor

from nlptool.errors import NonFiniteLoss
from nlptool.train.distributed import DistributedContext
from nlptool.train.trainer import Step


class RunningAverages:
    """Sums since the last line of the log.

    Its clock runs while steps are taken, so the speed is that of training alone: a new instance excludes earlier
    work, such as an evaluation or saving a checkpoint.
    """

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.tokens = self.flops = 0.0  # of the timed steps
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.norms: list[Tensor] = []
        self.lr = 0.0

    def add(self, step: Step, *, timed: bool) -> None:
        """Add one step. timed: False for the first one of a process, which builds and compiles."""
        self.norms.append(step.grad_norm)
        self.lr = step.lr
        for term, value in step.sums.items():
            self.sums[term] = self.sums[term] + value if term in self.sums else value
            self.counts[term] = self.counts.get(term, 0) + step.counts[term]
        if timed:
            self.tokens += step.tokens
            self.flops += step.flops
        else:
            step.grad_norm.item()  # waits for the device
            self.started = time.monotonic()

    def figures(self, last: int, world: DistributedContext) -> dict[str, float]:
        """Means over the steps up to `last`, and their speed. Raises NonFiniteLoss for the first bad one."""
        finite = torch.stack(self.norms).isfinite().tolist()
        if not all(finite):
            bad = last - len(finite) + finite.index(False) + 1
            raise NonFiniteLoss(f"step {bad:,}: the gradient is not finite")
        terms = sorted(self.sums)
        values = world.sum([*(self.sums[t].item() for t in terms), *(float(self.counts[t]) for t in terms)])
        sums, counts = values[: len(terms)], values[len(terms) :]
        figures = {term: s / max(c, 1) for term, s, c in zip(terms, sums, counts, strict=True)}
        figures["lr"] = self.lr
        figures["grad_norm"] = self.norms[-1].item()
        if self.tokens:
            figures["tokens_per_second"] = self.tokens / self.seconds
        return figures

    @property
    def seconds(self) -> float:
        """Seconds on the clock."""
        return max(time.monotonic() - self.started, 1e-9)
