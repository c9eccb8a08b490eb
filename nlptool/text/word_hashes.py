"""Hashes of words that are the same in every process and on every machine."""

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
MOST_KEPT = 1 << 17  # words whose hash is cached


class _WordHashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) >= MOST_KEPT:
            self.clear()
        found = self[word] = xxhash.xxh3_64_intdigest(word.encode("utf8", "surrogatepass"))
        return found


_hash_of = _WordHashes()


def word_hashes(words: Sequence[str]) -> Hashes:
    """xxh3 of each word, 64 bits, with a cache."""
    return np.fromiter(map(_hash_of.__getitem__, words), np.uint64, len(words))
