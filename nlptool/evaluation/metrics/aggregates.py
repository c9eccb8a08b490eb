"""Aggregation of metrics over rows, with standard errors. Nothing heavy at import."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from nlptool.formatting import safe_exp


class MetricValue(NamedTuple):
    """A metric over rows."""

    value: float
    error: float | None
    """Standard error; None if unknown."""


def mean(values: Sequence[float]) -> MetricValue:
    """The mean and its standard error, with n - 1 as in lm-eval; no error for a single value."""
    n = len(values)
    if not n:
        return MetricValue(math.nan, None)
    value = sum(values) / n
    error = math.sqrt(sum((v - value) ** 2 for v in values) / (n - 1) / n) if n > 1 else None
    return MetricValue(value, error)


def perplexity(logprobs: Sequence[float]) -> MetricValue:
    """exp of the mean negative log-likelihood of a row, as in lm-eval: per answer, not per token.

    Its standard error is that of the mean, by the delta method.
    """
    nats = mean([-logprob for logprob in logprobs])
    value = safe_exp(nats.value)
    return MetricValue(value, None if nats.error is None or math.isinf(value) else value * nats.error)


def macro_f1(pairs: Iterable[tuple[Hashable, Hashable]]) -> MetricValue:
    """The mean F1 over the classes, from pairs (label, prediction); classes in neither do not count.

    Its standard error is the jackknife's (Efron and Stein 1981), leaving out each row in turn.
    """
    counts = Counter(pairs)
    right, either = Counter[Hashable](), Counter[Hashable]()  # TP, and 2 TP + FP + FN
    for (label, predicted), count in counts.items():
        right[label] += count * (label == predicted)
        either[label] += count
        either[predicted] += count
    n, total = counts.total(), sum(2 * right[one] / either[one] for one in either)
    value = total / len(either) if either else math.nan
    if n < 2:
        return MetricValue(value, None)
    without = {pair: _without(pair, right, either, total) for pair in counts}
    middle = sum(without[pair] * count for pair, count in counts.items()) / n
    spread = sum(count * (without[pair] - middle) ** 2 for pair, count in counts.items())
    return MetricValue(value, math.sqrt((n - 1) / n * spread))


def _without(
    pair: tuple[Hashable, Hashable], right: Counter[Hashable], either: Counter[Hashable], total: float
) -> float:
    """Macro F1 without one row of this label and prediction, which changes the F1 of these two classes only."""
    agreed = pair[0] == pair[1]
    classes = len(either)
    for one, count in Counter(pair).items():
        total -= 2 * right[one] / either[one]
        if either[one] > count:
            total += 2 * (right[one] - agreed) / (either[one] - count)
        else:
            classes -= 1
    return total / classes


def precision_recall_f1(name: str, precision: float, recall: float) -> dict[str, float]:
    """`name_precision`, `name_recall` and `name_f1`, their harmonic mean."""
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return {f"{name}_precision": precision, f"{name}_recall": recall, f"{name}_f1": f1}
