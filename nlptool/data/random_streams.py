"""Random numbers and permutations by position: each is computed where it is needed, on any rank, with no state."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6  # enough that no pattern of neighbours survives; four already make a pseudo-random permutation


class RandomStreams(NamedTuple):
    """The random numbers of some consecutive rows of one step's batch.

    first: index, within the step's batch, of row 0 here. Row r draws the same numbers whether the batch is
    made whole, in micro-batches, or on several ranks.
    """

    seed: int
    step: int
    first: int = 0
    picked: tuple[int, ...] | None = None
    """Selected rows from `first` on, in place of consecutive ones."""

    def uniform(self, stream: int, rows: int, width: int) -> NDArray[np.float64]:
        """Numbers in [0, 1), [rows, width], a function of (seed, stream, step, first + row, column) alone.

        stream: separates independent uses within one step.
        """
        if self.picked is not None:
            found = self._replace(picked=None).uniform(stream, max(self.picked, default=-1) + 1, width)
            return found[list(self.picked)]
        blocks = -(-width // 4)  # Philox makes four numbers per count
        counter = [self.first * blocks, self.step, stream, 0]
        generator = np.random.Generator(np.random.Philox(key=self.seed, counter=counter))
        return generator.random((rows, 4 * blocks))[:, :width]

    def at(self, row: int) -> "RandomStreams":
        """The random numbers of the rows from `row` on."""
        if self.picked is not None:
            return self._replace(picked=self.picked[row:])
        return self._replace(first=self.first + row)

    def of(self, rows: NDArray[np.int64]) -> "RandomStreams":
        """The random numbers of selected rows."""
        assert self.picked is None
        return self._replace(picked=tuple(rows.tolist()))


def permuted(index: NDArray[np.int64], size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Where each index in [0, size) lies in this epoch's order: a permutation of range(size) that needs no memory.

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
