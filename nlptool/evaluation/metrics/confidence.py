"""Confidence intervals."""

import math
from typing import NamedTuple

LOPSIDED = 0.1  # largest distance of a share from the middle of its interval, in half intervals, to be written with ±
Z = 1.959964  # quantile of the normal distribution for 95 %
# Quantiles of t, for 1, 2, ... degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


class Proportion(NamedTuple):
    """`right` of `total`, with a 95 % confidence interval (Wilson 1927)."""

    right: int
    total: int

    @property
    def value(self) -> float:
        """The share; NaN where there is no instance."""
        return self.right / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound."""
        if not self.total:
            return 0.0, 1.0
        n, p = self.total, self.value
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        """As `format_interval`."""
        return format_interval(self.value, *self.interval)


def format_interval(value: float, low: float, high: float) -> str:
    """E.g. `61.3 % ± 1.2`, half the interval's width, or `100.0 % (51.0 to 100.0)` for an asymmetric interval."""
    value, low, high = 100 * value, 100 * low, 100 * high
    half = (high - low) / 2
    if abs(low + half - value) <= LOPSIDED * half:
        return f"{value:.1f} % ± {half:.1f}"
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def quantile(freedom: int | None) -> float:
    """Half width of a 95 % interval in standard errors: Student's t; None: the errors are known exactly."""
    return Z if freedom is None or freedom > len(STUDENT) else STUDENT[freedom - 1]
