"""Where the stages of a run begin, also where it was resumed with another number of steps.

Each stage has a share of the steps. A stage that has begun stays where it began, and a run never goes back to an
earlier one: a run that is resumed with more steps stays in the stage that it is in, and those to come begin at their
shares of the new number of steps, at the earliest now.
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
    """The step, from 0, at which each stage began that has begun."""


FRESH = ResumedAt()


def first_steps(shares: Sequence[float], steps: int, begun: ResumedAt) -> list[int]:
    """The step, from 0, at which each stage begins."""
    planned = [round(share * steps) if share else 0 for share in accumulate(shares[:-1], initial=0.0)]
    return [
        begun.stages[at] if at < len(begun.stages) else max(first, begun.step)
        for at, first in enumerate(planned)
    ]


def steps_for(amount: float, costs: Sequence[float], shares: Sequence[float], begun: ResumedAt) -> int:
    """The fewest steps that come to `amount`, at least 1. costs: of a step of each stage."""

    def total(steps: int) -> float:
        firsts = first_steps(shares, steps, begun)
        ends = [*firsts[1:], steps]
        return sum(
            max(0, min(end, steps) - first) * cost
            for first, end, cost in zip(firsts, ends, costs, strict=True)
        )

    most = begun.step + int(amount / min(costs)) + 1
    return max(1, bisect_left(range(most), amount, key=total))
