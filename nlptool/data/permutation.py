"""A shuffle of any number of examples that needs no memory: example n of the run is computed, not stored."""

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6  # enough that no pattern of neighbours survives; four already make a pseudo-random permutation


def permuted(index: NDArray[np.int64], size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Where each index in [0, size) lies in this epoch's order: a permutation of range(size).

    A Feistel network over the next even power of two, walked again while it leaves the range
    (Black & Rogaway 2002, "Ciphers with arbitrary finite domains": cycle walking).
    """
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    shift = np.uint64(half)
    keys = np.random.SeedSequence((seed, epoch)).generate_state(ROUNDS, np.uint64)
    result = index.astype(np.uint64)
    outside = np.ones(len(result), bool)
    while outside.any():
        left, right = result[outside] >> shift, result[outside] & mask
        for key in keys:
            left, right = right, left ^ (_scramble(right + key) & mask)
        result[outside] = (left << shift) | right
        outside = result >= size
    return result.astype(np.int64)


def _scramble(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014), modulo 2^64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
