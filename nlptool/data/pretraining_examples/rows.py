"""Rows for pretraining, and random offsets at which they are cut."""

# N rows, T tokens

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nlptool.data.pretraining_examples.linked import RowLinks

Ints = NDArray[np.int64]
Uniforms = NDArray[np.float64]

PAIR, MOVED = 16, 17  # streams of random numbers; data/masking.py has those below 16


@dataclass(frozen=True)
class PackedBatch:
    """N rows of T token ids."""

    ids: Ints
    """[N, T]."""
    lengths: Ints | None = None
    """[N], real tokens per row, the rest is [PAD]; None: no row has padding."""
    types: Ints | None = None
    """[N, T], 0 in the first segment, 1 in the second; None: one segment."""
    labels: Ints | None = None
    """[N], 0 if the second segment follows the first, 1 if not; None: one segment."""

    links: "RowLinks | None" = None
    """Which tokens are linked to which entities; None: the store has no links, or they are not needed."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """Real tokens, special ones included."""
        return self.ids.size if self.lengths is None else int(self.lengths.sum())


def integer_between(uniform: NDArray[np.float64], low: Ints | int, high: Ints | int) -> Ints:
    """A whole number from low to high, both included."""
    span = np.asarray(high) - low + 1
    return low + (uniform * span).astype(np.int64)


def epoch_offsets(seed: int, epochs: Ints, size: int) -> Ints:
    """A number in [0, size) for each epoch."""
    distinct, which = np.unique(epochs, return_inverse=True)
    states = [
        np.random.SeedSequence((seed, int(epoch), PAIR)).generate_state(1, np.uint64) for epoch in distinct
    ]
    phases: Ints = (np.concatenate(states) % np.uint64(size)).astype(np.int64)
    return phases[which]
