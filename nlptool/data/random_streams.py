"""Randomness by position: what a row of a batch draws does not depend on who computes it, or with whom."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class RandomStreams(NamedTuple):
    """The random numbers of some consecutive rows of one step's batch.

    first: index, within the step's batch, of row 0 here. Row r draws the same numbers whether the batch is
    made whole, in micro-batches, or on several ranks.
    """

    seed: int
    step: int
    first: int = 0
    picked: tuple[int, ...] | None = None
    """The rows from `first` on that are meant, in place of consecutive ones."""

    def uniform(self, stream: int, rows: int, width: int) -> NDArray[np.float64]:
        """Numbers in [0, 1), [rows, width], a function of (seed, stream, step, first + row, column) alone.

        stream: separates the purposes numbers are drawn for, within one step.
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
        """The random numbers of some of these rows, which need not follow each other."""
        assert self.picked is None
        return self._replace(picked=tuple(rows.tolist()))
