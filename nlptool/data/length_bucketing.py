"""Batches of rows of different lengths with little padding, as a function of (seed, n)."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nlptool.data.batches import Batch, Collate
from nlptool.data.random_streams import RandomStreams, permuted
from nlptool.formatting import counted

TOKENS = {"cpu": 4096, "cuda": 65_536}
"""Most tokens of a batch in inference, padding included, by device."""


class IndexedRows(Protocol):
    """Rows by number, the same in every epoch."""

    lengths: NDArray[np.int64]
    """[rows], number of tokens."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def take(self, indices: NDArray[np.int64]) -> Any:
        """Rows `indices` [N], as the input of the objective's `collate`."""
        ...


class LengthBucketedBatches:
    """This rank's micro-batches of steps 0 .. steps - 1.

    Row r of the run is position r of an endless stream of epochs, each in its own order, as in Batches; a step takes
    the next `batch` rows, so a row is read once an epoch, and step n depends on (seed, n) alone. Rows of a step that
    are similar in length form a micro-batch, padded to its longest row. Steps of similar rows would be padded less,
    but lengths may correlate with labels, as on STS-B, whose short pairs are more similar, and would bias a step
    (benchmarks/REPORT-learning.md). Rows sorted by length are dealt out to the ranks in turn.

    part: most tokens of a micro-batch, padding included, unless its only row has more; None: `accumulate` decides
    the parts.
    """

    def __init__(
        self,
        examples: IndexedRows,
        collate: Collate,
        *,
        batch: int,
        steps: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
        part: int | None = None,
    ) -> None:
        if batch % (world * accumulate):
            raise ValueError(f"{counted(batch, 'rows')} cannot be shared out to {world} x {accumulate}")
        self.examples, self.lengths, self.collate = examples, examples.lengths, collate
        self.batch, self.steps, self.seed, self.rank, self.world = batch, steps, seed, rank, world
        self.accumulate, self.part = accumulate, part

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n, n from 0; none after the last step."""
        if n >= self.steps:
            return []
        positions = n * self.batch + np.arange(self.batch)
        epochs, rows = np.divmod(positions, len(self.lengths))
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            rows[chosen] = permuted(rows[chosen], len(self.lengths), self.seed, int(epoch))
        mine = rows[np.argsort(self.lengths[rows], kind="stable")][self.rank :: self.world]
        parts = [few for part in np.array_split(mine, self.accumulate) for few in self._cut(part)]
        firsts = np.cumsum([self.rank * len(mine), *map(len, parts[:-1])])
        return [
            self.collate(self.examples.take(part), RandomStreams(self.seed, n, int(first)))
            for part, first in zip(parts, firsts, strict=True)
        ]

    def _cut(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Split rows, sorted by length, into as few equal parts as are small enough."""
        if self.part is None:
            return [rows]
        for parts in range(1, len(rows)):
            cut = np.array_split(rows, parts)
            if all(len(few) * self.lengths[few[-1]] <= self.part for few in cut):
                return cut
        return np.split(rows, len(rows))


class RoundRobinBatches:
    """Batches of several data sets in turn: step n takes from set n modulo their number.

    So each set gets equally many steps, whatever its size, as in decaNLP's round-robin (McCann et al. 2018, section
    3.2).
    """

    def __init__(self, sources: Sequence[LengthBucketedBatches]) -> None:
        self.sources = sources

    def get(self, n: int) -> list[Batch]:
        """The micro-batches of step n, n from 0; none after the last step."""
        number, turn = divmod(n, len(self.sources))
        return self.sources[turn].get(number)


def batches_by_length(
    lengths: NDArray[np.int64], batch: int | None, tokens: int | None
) -> list[NDArray[np.int64]]:
    """The numbers of all rows, in batches of rows of similar length.

    lengths: [rows], tokens of each. batch: most rows of a batch. tokens: most tokens of one, padding included, unless
    its only row has more. None: any.
    """
    # Longest first, so that running out of memory shows at once.
    rows = np.argsort(-lengths, kind="stable")
    found, at = [], 0
    while at < len(rows):
        limits = (batch, None if tokens is None else max(1, tokens // int(lengths[rows[at]])))
        size = min((limit for limit in limits if limit is not None), default=len(rows))
        found.append(rows[at : at + size])
        at += size
    return found


class SequentialBatches:
    """All rows once, for evaluation: sorted by length to save padding; ranks take turns.

    batch: most rows of a batch. tokens: most tokens of one, padding included, unless its only row has more; None: any.
    """

    def __init__(
        self,
        examples: IndexedRows,
        collate: Collate,
        *,
        batch: int,
        tokens: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.examples, self.collate = examples, collate
        self._batches = batches_by_length(examples.lengths, batch, tokens)[rank::world]

    def __len__(self) -> int:
        """Number of this rank's batches."""
        return len(self._batches)

    def get(self, n: int) -> list[Batch]:
        """Batch n of this rank."""
        return [self.collate(self.examples.take(self._batches[n]), RandomStreams(0, n))]
