"""Perplexity and bits per byte of running text, with an interval over documents.

A causal LM gives the likelihood of each token given those before it in its window; a masked LM the
pseudo-likelihood, each token given all others of its window (Salazar et al. 2020, section 2.3). The two are not
comparable. Windows are those of lm-eval's rolling log-likelihood, `requests.rolling`, or overlap by a stride,
`requests.strided`. Bits per byte divide by the bytes of the text, so models with different tokenizers are comparable
(Gao et al. 2020, section 3.1).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from nlptool.evaluation.metrics.confidence import Z
from nlptool.evaluation.requests import EncodedRequest
from nlptool.text.tokenizer import Tokenizer


class Reader(Protocol):
    """A model that cuts a long text into windows, and scores each."""

    tokenizer: Tokenizer
    positions: int

    def windows(self, ids: Sequence[int], stride: int | None = None) -> list[EncodedRequest]:
        """Stretches that the model can read, each with its context; together they are the text.

        stride: tokens from one window to the next; None: as little overlap as possible.
        """
        ...

    def of_windows(self, windows: Sequence[EncodedRequest]) -> list[float]:
        """Log-likelihood of each window's predicted tokens, or a substitute for it, in nats."""
        ...


class NegativeLogLikelihood(NamedTuple):
    """The negative log-likelihood of a document."""

    nats: float
    tokens: int
    bytes: int


class RatioEstimate(NamedTuple):
    """A ratio of sums over documents, and half its 95 % interval."""

    value: float
    half: float


def cost(reader: Reader, text: str, stride: int | None = None) -> NegativeLogLikelihood:
    """Negative log-likelihood of one document, without a context before it. stride: as in `Reader.windows`."""
    ids = reader.tokenizer.encode(text)
    nats = -sum(reader.of_windows(reader.windows(ids, stride))) if ids else 0.0
    return NegativeLogLikelihood(nats, len(ids), len(text.encode()))


def bits_per_byte(costs: Sequence[NegativeLogLikelihood]) -> RatioEstimate:
    """Over all documents together."""
    return _ratio([c.nats / math.log(2) for c in costs], [c.bytes for c in costs])


def nats_per_token(costs: Sequence[NegativeLogLikelihood]) -> RatioEstimate:
    """Over all documents together; the logarithm of the perplexity."""
    return _ratio([c.nats for c in costs], [c.tokens for c in costs])


def _ratio(above: Sequence[float], below: Sequence[float]) -> RatioEstimate:
    """sum(above) / sum(below). Documents are the sample: tokens of one are not independent.

    The variance is that of a ratio estimator (Cochran 1977, section 6.4).
    """
    total, n = sum(below), len(below)
    if not total:
        return RatioEstimate(math.nan, math.nan)
    value = sum(above) / total
    if n < 2:
        return RatioEstimate(value, math.inf)
    squares = sum((a - value * b) ** 2 for a, b in zip(above, below, strict=True))
    return RatioEstimate(value, Z * math.sqrt(n / (n - 1) * squares) / total)
