"""How sure a share is."""

import math
from typing import NamedTuple

LOPSIDED = 0.1  # how far from its interval's middle a share may be, of half the interval
Z = 1.959964  # of a normal distribution, for 95 %
# Quantiles of t, for 1 degree of freedom, 2, and so on.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


class Proportion(NamedTuple):
    """`right` of `total`, and the interval that holds the true share with 95 % confidence (Wilson 1927)."""

    right: int
    total: int

    @property
    def value(self) -> float:
        """The share itself; NaN where there is no instance."""
        return self.right / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high end."""
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
    """E.g. `61.3 % ± 1.2`, half the interval's width behind the sign; `100.0 % (51.0 to 100.0)` where the share is not
    in its middle."""
    value, low, high = 100 * value, 100 * low, 100 * high
    half = (high - low) / 2
    if abs(low + half - value) <= LOPSIDED * half:
        return f"{value:.1f} % ± {half:.1f}"
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def quantile(freedom: int | None) -> float:
    """How many standard errors a 95 % interval reaches to each side: Student's t; None: the errors are known well."""
    return Z if freedom is None or freedom > len(STUDENT) else STUDENT[freedom - 1]
