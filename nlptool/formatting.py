"""Formatting of numbers, counts, durations and names."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from nlptool.terminal import clean

BARS = "▁▂▃▄▅▆▇█"
PLURALS = (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("xes", "x"), ("s", ""))
KINDS = {
    dict: "object",
    list: "list",
    str: "string",
    bool: "truth value",
    type(None): "null",
} | dict.fromkeys((int, float), "number")
WRITTEN = 200  # characters of a value shown in a message
MARKED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {sign: f"\\{sign}" for sign in "\\`*[]|"})


def brief(text: str, most: int = 60) -> str:
    """A quoted text, shortened to `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def duration(seconds: float) -> str:
    """A duration: `41s`, `2m31s`, `3h05m`, `2d04h`."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole // 60 % 60:02d}m"
    return f"{whole // 86400}d{whole // 3600 % 24:02d}h"


def quantity(amount: float, unit: str) -> str:
    """An amount with its unit, a plural: `1.2 GB`, `3.4 TFLOP/s`, `12,345 documents`, `1 batch`, `2.1M tokens`."""
    if unit in ("B", "FLOP/s"):
        prefixes = ["", "k", "M", "G", "T", "P"]
        while abs(amount) >= 999.5 and len(prefixes) > 1:
            amount /= 1000
            prefixes.pop(0)
        digits = f"{amount:.0f}" if amount >= 9.95 else f"{amount:.1f}".removesuffix(".0")
        return f"{digits} {prefixes[0]}{unit}"
    if amount < 999_500:
        number = f"{amount:,.0f}"
        return agreeing(number, unit)
    scale, letter = next(
        (s, letter) for s, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")) if amount >= 0.9995 * s
    )
    return f"{amount / scale:.3g}{letter} {unit}"


def counted(number: int, noun: str) -> str:
    """A count in full with its noun, a plural: `1 batch`, `12,345 steps`, `1 row of text`."""
    return agreeing(f"{number:,}", noun)


def agreeing(number: str, noun: str) -> str:
    """A written number with its noun, a plural: `1 epoch`, `1.5 epochs`."""
    return f"{number} {singular(noun) if number == '1' else noun}"


def counted_each(counts: Mapping[str, int], noun: str) -> str:
    """Several counts of one noun: `train 198, validation 1 row`."""
    *others, (last, count) = counts.items()
    return ", ".join([*(f"{name} {number:,}" for name, number in others), f"{last} {counted(count, noun)}"])


def each(number: int, noun: str) -> str:
    """`one seed`, `each of 3 seeds`."""
    return f"one {singular(noun)}" if number == 1 else f"each of {counted(number, noun)}"


def singular(noun: str) -> str:
    """The singular of a plural: `batch` for `batches`; of `rows of text` `row of text`, of `tokens/s` `token/s`."""
    end = re.search(r"(?= of )|(?=/)|$", noun)
    head, rest = (noun[: end.start()], noun[end.start() :]) if end else (noun, "")
    for many, one in PLURALS:
        if head.endswith(many):
            return head.removesuffix(many) + one + rest
    return noun


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent, with a space: `9.1 %`."""
    return f"{100 * share:.{digits}f} %"


def scientific(value: float) -> str:
    """A small number in few characters: `3.1e-4`."""
    mantissa, e, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if e else mantissa  # nan, inf


def significant(value: float, digits: int = 3) -> str:
    """A number rounded to significant digits: `0.25`, `1,234`, `5.52e9`, `3e-5`."""
    mantissa, e, exponent = f"{value:,.{digits}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def json_value(value: Any) -> str:
    """A value as JSON, shortened if it is long: `null`, `true`, `"a text"`, `[1, 2]`."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= WRITTEN else f"{text[:WRITTEN]}..."


def json_kind(kind: type) -> str:
    """JSON's name of a Python type: `object`, `list`, `string`, `null`."""
    return KINDS.get(kind, kind.__name__)


def safe_exp(value: float) -> float:
    """e to this power; infinite on overflow."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def finite(value: float | None) -> float | None:
    """A number for JSON, which has neither infinity nor NaN."""
    return value if value is not None and math.isfinite(value) else None


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table in Markdown, after its caption. Markdown and HTML in cells are escaped."""
    lines = [map(_cell, columns), ["---"] * len(columns), *(map(_cell, row) for row in rows)]
    above = f"{caption}\n\n" if caption else ""
    return above + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown_name(text: str) -> str:
    """A name in Markdown: on one line, without characters that end code or begin HTML."""
    return re.sub(r"[`<>\r\n|\[\]]", " ", text).strip()


def bullets(lines: Sequence[str]) -> str:
    """A list in Markdown; Markdown and HTML in lines are escaped."""
    return "".join(f"* {_cell(line)}\n" for line in lines)


def _cell(text: str) -> str:
    return clean(" ".join(text.split())).translate(MARKED)


class History:
    """One figure over time in at most 256 values, each the mean of as many steps."""

    def __init__(self) -> None:
        self.last = float("nan")
        self._values: list[float] = []
        self._each, self._sum, self._count = 1, 0.0, 0

    def add(self, value: float) -> None:
        """Append a value."""
        self.last = value
        self._sum, self._count = self._sum + value, self._count + 1
        if self._count == self._each:
            self._values.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self._values) == 256:
            self._values = [(a + b) / 2 for a, b in zip(self._values[::2], self._values[1::2], strict=True)]
            self._each *= 2

    def line(self, width: int) -> str:
        """The values as a line of bar characters, at most `width` wide."""
        values = [v for v in self._values if v == v and abs(v) != float("inf")]
        count = min(width, len(values))
        cuts = [round(i * len(values) / count) for i in range(count + 1)] if count else []
        means = [sum(values[a:b]) / (b - a) for a, b in pairwise(cuts)]
        low, high = min(means, default=0.0), max(means, default=0.0)
        return "".join(BARS[round((v - low) / (high - low) * 7) if high > low else 0] for v in means)
