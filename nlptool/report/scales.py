"""Units, limits and labels of axes."""

import math
from collections.abc import Sequence

from nlptool.formatting import significant
from nlptool.report.curves import Axis, Curve, Floats

SCALES = {  # unit: (factor, name on the axis), largest first
    "s": ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds")),
    "FLOP": tuple(
        (10.0**p, f"{letter}FLOP") for p, letter in ((21, "Z"), (18, "E"), (15, "P"), (12, "T"), (9, "G"))
    ),
    "tokens": ((1e12, "trillion tokens"), (1e9, "billion tokens"), (1e6, "million tokens"), (1.0, "tokens")),
    "steps": ((1.0, "steps"),),
    "shots": ((1.0, "examples in the prompt (shots)"),),
    "parameters": ((1e9, "billion parameters"), (1e6, "million parameters"), (1.0, "parameters")),
}


NARROW, LETTER = 2.6, 0.085  # inches of the narrowest plot, and of a letter


def scale(axis: Axis, curves: Sequence[Curve]) -> tuple[float, str]:
    """The divisor that makes an axis's numbers short, and the name of its unit."""
    most = max((curve.x.max() for curve in curves), default=0.0)
    scales = SCALES[axis.unit]
    return next(((factor, unit) for factor, unit in scales if most >= 2 * factor), scales[-1])


def decade(x: Floats) -> tuple[float, float]:
    """Ends of a logarithmic axis around these values, at least a factor of ten apart."""
    low, high = (float(x.min()), float(x.max())) if len(x) else (1.0, 1.0)
    wider = max(1.05, (10 * low / high) ** 0.5)
    return low / wider, high * wider


def log_steps(low: float, high: float) -> tuple[int, ...]:
    """Which of 1, 2 and 5 in each decade of a logarithmic axis have numbers beside each other without touching."""
    longest = max(len(number(10.0 ** math.floor(math.log10(end)))) for end in (low, high))
    between = math.log10(2) / math.log10(high / low) * NARROW
    return (1, 2, 5) if between > LETTER * longest else (1,)


def number(value: float) -> str:
    """A short number: 1,200, 0.25, 3e-4."""
    if value and abs(value) < 1e-2:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:,.10g}" if abs(value) < 1e6 else significant(value)


def apart(wanted: Sequence[float]) -> list[float]:
    """Positions at least 1 apart, in the given (ascending) order, as near to the wanted ones as possible.

    Neighbours that would overlap move together, around their mean (pool adjacent violators).
    """
    blocks: list[tuple[float, int]] = []  # mean of wanted position less rank, number of labels
    for rank, place in enumerate(wanted):
        blocks.append((place - rank, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    starts = [mean for mean, number in blocks for _ in range(number)]
    return [start + rank for rank, start in enumerate(starts)]
