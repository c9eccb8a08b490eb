"""Whether the runs of a comparison can spend the same budget: steps of a larger model cost more."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nlptool.errors import RecipeError
from nlptool.formatting import counted, quantity, significant
from nlptool.recipe import Budget

TOLERANCE = 0.01  # how far from the budget a run may end, as a share of it
SEARCHED = 0.009  # the same for the search of the smallest budget, since the steps of stages are rounded, too
UNITS = {"flops": "FLOPs", "tokens": "tokens"}


class Spent(NamedTuple):
    """Budget spent by a run."""

    steps: int
    step: float
    """Mean cost of a step."""

    @property
    def total(self) -> float:
        """Cost of the run."""
        return self.steps * self.step


def require_met(budget: Budget, spent: Mapping[str, Spent]) -> None:
    """Raise RecipeError, with the least budget that would do, unless every run ends within 1 % of the budget.

    spent: FLOPs or tokens of each run. Budgets in steps or epochs are the same for all runs, and the clock meets a
    budget of time.
    """
    if all(abs(one.total - budget.amount) <= TOLERANCE * budget.amount for one in spent.values()):
        return
    unit = UNITS[budget.measure]
    lines = "".join(
        f"\n  {name}: {counted(one.steps, 'steps')} of {_written(one.step, unit)}, {_written(one.total, unit)} in all"
        for name, one in spent.items()
    )
    found = least([one.step for one in spent.values()], budget.amount)
    enough = Budget(found, budget.measure) if budget.measure == "tokens" else f"{significant(found)} flops"
    raise RecipeError(
        f"train.budget: a run takes whole steps, and these do not all end within 1 % of "
        f"{_written(budget.amount, unit)}:{lines}",
        hint=f"the least budget from there on that they all meet: train.budget='{enough}'; "
        "smaller batches meet a smaller one",
    )


def least(steps: Sequence[float], amount: float) -> float:
    """The smallest budget of three digits, from `amount` on, that whole steps of all these costs meet.

    A run takes the fewest steps that reach its budget, so 112 steps of the most expensive run are always enough.
    """
    power = math.floor(math.log10(amount)) - 2
    number = math.ceil(amount / 10.0**power)
    while True:
        found = number * 10.0**power
        if all(math.ceil(found / step) * step <= (1 + SEARCHED) * found for step in steps):
            return found
        number += 1
        if number == 1000:
            number, power = 100, power + 1


def _written(amount: float, unit: str) -> str:
    """`3,050 tokens`, `21M tokens`, `5.52e9 FLOPs`."""
    return quantity(amount, unit) if unit == UNITS["tokens"] else f"{significant(amount)} {unit}"
