"""Where the stages of a run begin, also after it was resumed with another number of steps.

Each stage has a share of the steps. A stage that has begun keeps its first step, and a run never returns to an
earlier stage: resumed with more steps, it stays in its stage, and later stages begin at their shares of the new
number of steps, at the earliest now.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class ResumedAt:
    """How far a run had come when it was resumed."""

    step: int = 0
    """Steps taken."""
    stages: tuple[int, ...] = ()
    """First step, from 0, of each stage that has begun."""


FRESH = ResumedAt()


def first_steps(shares: Sequence[float], steps: int, begun: ResumedAt) -> list[int]:
    """First step, from 0, of each stage."""
    planned = [round(share * steps) if share else 0 for share in accumulate(shares[:-1], initial=0.0)]
    return [
        begun.stages[at] if at < len(begun.stages) else max(first, begun.step)
        for at, first in enumerate(planned)
    ]


def steps_for(amount: float, costs: Sequence[float], shares: Sequence[float], begun: ResumedAt) -> int:
    """Smallest number of steps with a total cost of `amount`, at least 1. costs: of a step of each stage."""

    def total(steps: int) -> float:
        firsts = first_steps(shares, steps, begun)
        ends = [*firsts[1:], steps]
        return sum(
            max(0, min(end, steps) - first) * cost
            for first, end, cost in zip(firsts, ends, costs, strict=True)
        )

    most = begun.step + int(amount / min(costs)) + 1
    return max(1, bisect_left(range(most), amount, key=total))
