"""Scores over rows, with their standard errors: plain arithmetic."""

import math
from collections import Counter
from collections.abc import Sequence

from nlptool.formatting import safe_exp
from nlptool.prompting.config import MetricValue


def mean(values: Sequence[float]) -> MetricValue:
    """The mean and its standard error, with n - 1 as lm-eval; no error for a single value."""
    n = len(values)
    if not n:
        return MetricValue(math.nan, None)
    value = sum(values) / n
    error = math.sqrt(sum((v - value) ** 2 for v in values) / (n - 1) / n) if n > 1 else None
    return MetricValue(value, error)


def perplexity(logprobs: Sequence[float]) -> MetricValue:
    """exp of the mean negative log-likelihood of a row, as lm-eval: per answer, not per token.

    Its error is that of the mean, by the delta method.
    """
    nats = mean([-logprob for logprob in logprobs])
    value = safe_exp(nats.value)
    return MetricValue(value, None if nats.error is None or math.isinf(value) else value * nats.error)


def macro_f1(pairs: Sequence[tuple[int, int]]) -> MetricValue:
    """The mean of each class's F1, of (right, decided); classes that occur in neither do not count.

    Its error is the jackknife's (Efron and Stein 1981): what leaving out each row in turn does to it.
    """
    counts = Counter(pairs)
    n, whole = len(pairs), _macro_f1(counts)
    if n < 2:
        return MetricValue(whole, None)
    without = {pair: _macro_f1(counts - Counter([pair])) for pair in counts}
    middle = sum(without[pair] * count for pair, count in counts.items()) / n
    spread = sum(count * (without[pair] - middle) ** 2 for pair, count in counts.items())
    return MetricValue(whole, math.sqrt((n - 1) / n * spread))


def _macro_f1(counts: Counter[tuple[int, int]]) -> float:
    classes = sorted({one for pair in counts for one in pair})
    scores = []
    for one in classes:
        both = counts[one, one]
        either = sum(
            count * ((right == one) + (decided == one)) for (right, decided), count in counts.items()
        )
        scores.append(2 * both / either)
    return sum(scores) / len(scores) if scores else math.nan
