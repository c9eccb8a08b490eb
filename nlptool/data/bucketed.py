"""Batches of rows of about the same length, as a function of (seed, n)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nlptool.data.batches import Batch, Collates, Examples
from nlptool.data.draws import Draws
from nlptool.data.order import shuffled

POOL = 50  # batches whose rows are sorted by length together


class Bucketed:
    """This rank's micro-batches of steps 0 .. steps - 1.

    Row r of the run is position r of an endless stream of epochs, each in its own order, as in Batches. The rows of
    POOL steps are sorted by length and cut into batches, and these are shuffled. So a row is read once an epoch,
    step n depends on (seed, n) alone, and little is padded: a batch is padded to its longest row. Ranks and
    micro-batches take consecutive stretches of a batch.

    lengths: [len(examples)], tokens of each row.
    """

    def __init__(
        self,
        examples: Examples,
        lengths: NDArray[np.int64],
        collate: Collates,
        *,
        batch: int,
        steps: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
    ) -> None:
        if batch % (world * accumulate):
            raise ValueError(f"{batch} rows cannot be shared out to {world} x {accumulate}")
        self.examples, self.lengths, self.collate = examples, lengths, collate
        self.batch, self.steps, self.seed = batch, steps, seed
        self.rank, self.world, self.accumulate = rank, world, accumulate
        self._pool: tuple[int, NDArray[np.int64]] | None = None

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n, n from 0; none after the last step."""
        if n >= self.steps:
            return []
        number, inside = divmod(n, POOL)
        if self._pool is None or self._pool[0] != number:
            self._pool = number, self._made(number)
        rows = self._pool[1][inside]
        share = self.batch // (self.world * self.accumulate)
        first = self.rank * self.accumulate * share
        return [
            _collated(self.examples, self.collate, rows[at : at + share], Draws(self.seed, n, at))
            for at in range(first, first + self.accumulate * share, share)
        ]

    def _made(self, number: int) -> NDArray[np.int64]:
        """The rows of a pool, [steps in it, batch]."""
        steps = min(POOL, self.steps - number * POOL)
        positions = number * POOL * self.batch + np.arange(steps * self.batch)
        epochs, indices = np.divmod(positions, len(self.lengths))
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            indices[chosen] = shuffled(indices[chosen], len(self.lengths), self.seed, int(epoch))
        batches = indices[np.argsort(self.lengths[indices], kind="stable")].reshape(steps, self.batch)
        order = np.random.default_rng((self.seed, number)).permutation(steps)
        return batches[order]


class InRounds:
    """Batches of several sets of rows, one of each in turn: step n is of set n modulo their number.

    So each is learnt from equally often, however many rows it has, as decaNLP's round-robin (McCann et al. 2018,
    section 3.2).
    """

    def __init__(self, sources: Sequence[Bucketed]) -> None:
        self.sources = sources

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n, n from 0; none after the last step."""
        number, turn = divmod(n, len(self.sources))
        return self.sources[turn].get(number)


class InTurn:
    """All rows once, for evaluation: sorted by length, so that little is padded; ranks take turns."""

    def __init__(
        self,
        examples: Examples,
        lengths: NDArray[np.int64],
        collate: Collates,
        *,
        batch: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.examples, self.collate = examples, collate
        rows = np.argsort(
            -lengths, kind="stable"
        )  # the longest first: what does not fit into memory is told at once
        cut = [rows[at : at + batch] for at in range(0, len(rows), batch)]
        self._batches = cut[rank::world]

    def __len__(self) -> int:
        """Batches of this rank."""
        return len(self._batches)

    def get(self, n: int) -> list[Batch]:
        """Batch n of this rank."""
        return [_collated(self.examples, self.collate, self._batches[n], Draws(0, n))]


def _collated(examples: Examples, collate: Collates, rows: NDArray[np.int64], draws: Draws) -> Batch:
    return collate(examples.take(rows, np.zeros_like(rows), draws), draws)
