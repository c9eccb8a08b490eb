"""N-grams that two texts share, over words without case and punctuation (Brown et al. 2020, appendix C)."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nlptool.text.word_hashes import Hashes, word_hashes

PUNCTUATION = re.compile(r"[^\w\s]|_")
TOKEN = re.compile(r"\S+")
LEAST, MOST, LEAST_SYNTHETIC = 8, 13, 2
FACTOR = 0x9E3779B97F4A7C15  # odd, so that multiplication modulo 2^64 is invertible


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, without punctuation."""
    return PUNCTUATION.sub("", text.lower()).split()


def spans(text: str) -> list[tuple[int, int]]:
    """The span of each of `words(text)` in the text, with its punctuation."""
    return [found.span() for found in TOKEN.finditer(text) if PUNCTUATION.sub("", found[0].lower())]


def ngram_size(texts: Sequence[str], *, synthetic: bool) -> int:
    """N for these instances: the 5th percentile of their lengths, between 8 (synthetic rows: 2) and 13."""
    lengths = sorted(len(words(text)) for text in texts)
    percentile = lengths[int(0.05 * (len(lengths) - 1))] if lengths else MOST
    return min(MOST, max(LEAST_SYNTHETIC if synthetic else LEAST, percentile))


def hashes(text: str) -> Hashes:
    """A hash for each word."""
    return word_hashes(words(text))


def ngrams(word_hashes: Hashes, n: int) -> Hashes:
    """A hash for each N-gram of words."""
    count = max(0, len(word_hashes) - n + 1)
    found = np.zeros(count, np.uint64)
    for at in range(n):
        found = found * np.uint64(FACTOR) + word_hashes[at : at + count]
    return found


def among(ngrams: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Which N-grams are among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(ngrams), bool)
    at = np.minimum(np.searchsorted(known, ngrams), len(known) - 1)
    found: NDArray[np.bool_] = known[at] == ngrams
    return found
