"""MinHash signatures (Broder 1997) and their bands, and the sets of shingles behind them.

Words are runs of letters and digits in lower case; a shingle is `ngram` consecutive words. Hashes are xxh3, and
coefficients come from a fixed seed, so that signatures of different runs and machines are comparable.
"""

import re

import numpy as np
from numpy.typing import NDArray

from nlptool.corpus.config import MinHash
from nlptool.text.word_hashes import Hashes, word_hashes

WORD = re.compile(r"\w+")
FACTOR = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(0xBF58476D1CE4E5B9)  # constants of splitmix64's finaliser
CHUNK = 1024  # shingles hashed at a time: their 112 hashes each stay in the cache
SEED = 1


def shingles(text: str, ngram: int) -> Hashes:
    """A 64-bit hash of each shingle, in order; a shorter text is one shingle, a text without words has none."""
    words = WORD.findall(text.lower())
    hashes = word_hashes(words)
    n = min(ngram, len(words))
    count = len(words) - n + 1 if n else 0
    found = np.zeros(count, np.uint64)
    for at in range(n):
        found = found * FACTOR + hashes[at : at + count]
    found ^= found >> np.uint64(30)
    found *= MIX
    return found ^ (found >> np.uint64(27))


def jaccard(one: Hashes, other: Hashes) -> float:
    """Jaccard similarity of two sorted sets without duplicates."""
    if not len(one) or not len(other):
        return 0.0
    at = np.searchsorted(other, one)
    shared = int((other[np.minimum(at, len(other) - 1)] == one).sum())
    return shared / (len(one) + len(other) - shared)


class Signatures:
    """Band hashes of texts."""

    def __init__(self, config: MinHash) -> None:
        self.bands, self.rows, self._ngram = config.bands, config.rows, config.ngram
        random = np.random.Generator(np.random.Philox(SEED))
        count = config.bands * config.rows
        self._factors = (random.integers(0, 2**32, (count, 1), np.uint32) | np.uint32(1)).astype(np.uint32)
        self._offsets = random.integers(0, 2**32, (count, 1), np.uint32)
        self._weights = random.integers(0, 2**63, (config.bands, config.rows), np.uint64) * np.uint64(
            2
        ) + np.uint64(1)

    def minima(self, text: str) -> NDArray[np.uint32] | None:
        """The signature, [bands * rows]: the minimum of each hash over all shingles; None if there is no word."""
        high = (shingles(text, self._ngram) >> np.uint64(32)).astype(np.uint32)
        if not len(high):
            return None
        least = np.full(len(self._factors), np.iinfo(np.uint32).max, np.uint32)
        for start in range(0, len(high), CHUNK):
            hashed = self._factors * high[start : start + CHUNK] + self._offsets
            np.minimum(least, hashed.min(axis=1), out=least)
        return least

    def __call__(self, text: str) -> Hashes | None:
        """A 64-bit hash of each band, [bands]; None if there is no word. Documents that share one are candidates."""
        least = self.minima(text)
        if least is None:
            return None
        mixed = (least.reshape(self.bands, self.rows).astype(np.uint64) * self._weights).sum(
            axis=1, dtype=np.uint64
        )
        mixed ^= mixed >> np.uint64(31)
        found: Hashes = mixed * MIX
        return found
