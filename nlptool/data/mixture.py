"""Rows of several token stores in given shares, as GPT-3's corpora were mixed (Brown et al. 2020, table 2.2)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nlptool.data.batches import Examples
from nlptool.data.pretraining_examples.rows import Ints, PackedBatch
from nlptool.data.random_streams import RandomStreams, permuted
from nlptool.errors import UsageError

BLOCK = 1 << 16  # rows in which every store has its exact share
CHOICE = 1 << 20  # added to a block's number, so that the order of stores differs from that of any epoch


class Mixture:
    """Examples of several splits in one endless numbering; each number belongs to one row of one store.

    A block of BLOCK rows has a fixed number of each store's, in an order of its own (a Feistel permutation), so that
    a row's store and its number among that store's rows follow from the row's number, at the cost of a block. Each
    store goes through epochs of its own, one after the other and each in another order, whatever the others do.
    Raises UsageError for a weight that gives a store not one row in BLOCK.
    """

    def __init__(self, parts: Sequence[Examples], weights: Sequence[float], seed: int) -> None:
        self.parts, self.seed = tuple(parts), seed
        self.quotas = quotas(weights)
        """Rows of each store in a block."""
        self._ends = np.cumsum(self.quotas)
        self._blocks: dict[int, tuple[Ints, Ints]] = {}  # the last two

    def __len__(self) -> int:
        """Rows of all stores together, each once."""
        return sum(map(len, self.parts))

    @property
    def shares(self) -> list[float]:
        """Each store's share of the rows."""
        return [quota / BLOCK for quota in self.quotas]

    def epochs(self, rows: float) -> list[float]:
        """Number of epochs of each store in this many rows."""
        return [rows * share / max(len(part), 1) for share, part in zip(self.shares, self.parts, strict=True)]

    def take(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> PackedBatch:
        """Rows `indices` [N] of the endless stream, where each of `epochs` [N] is len() rows long."""
        store_N, number_N = self.places(indices + epochs * len(self))
        taken: list[tuple[Ints, PackedBatch]] = []
        for store, part in enumerate(self.parts):
            rows = np.flatnonzero(store_N == store)
            if len(rows):
                epoch, index = np.divmod(number_N[rows], len(part))
                for one in np.unique(epoch):
                    chosen = epoch == one
                    index[chosen] = permuted(index[chosen], len(part), self.seed, int(one))
                taken.append((rows, part.take(index, epoch, draws.of(rows))))
        return _together(taken, len(indices))

    def places(self, positions: Ints) -> tuple[Ints, Ints]:
        """For each row of the stream its store, and its number among that store's rows."""
        block, inside = np.divmod(positions, BLOCK)
        store, number = np.empty_like(inside), np.empty_like(inside)
        for one in np.unique(block).tolist():
            chosen = block == one
            stores, ranks = self._block(one)
            store[chosen], number[chosen] = stores[inside[chosen]], ranks[inside[chosen]]
        return store, block * np.array(self.quotas)[store] + number

    def _block(self, number: int) -> tuple[Ints, Ints]:
        """For each row of a block its store, and how many rows of that store come before it in the block."""
        found = self._blocks.get(number)
        if found is None:
            order = permuted(np.arange(BLOCK), BLOCK, self.seed, CHOICE + number)
            store = np.searchsorted(self._ends, order, side="right").astype(np.int64)
            rank = np.empty(BLOCK, np.int64)
            rank[np.argsort(store, kind="stable")] = np.concatenate(
                [np.arange(quota) for quota in self.quotas]
            )
            found = store, rank
            self._blocks = dict(list(self._blocks.items())[-1:]) | {number: found}
        return found


def quotas(weights: Sequence[float]) -> list[int]:
    """Rows of each store in a block: the weights' shares of BLOCK, rounded so that they add up to it."""
    exact = [weight / sum(weights) * BLOCK for weight in weights]
    found = [int(share) for share in exact]
    largest = sorted(range(len(exact)), key=lambda at: found[at] - exact[at])
    for at in largest[: BLOCK - sum(found)]:
        found[at] += 1
    for at, quota in enumerate(found):
        if not quota:
            raise UsageError(
                f"store.{at}.weight: {weights[at]:g} of {sum(weights):g} in all is less than a row in {BLOCK:,}",
                hint="give it more, or leave the store out",
            )
    return found


def _together(taken: Sequence[tuple[Ints, PackedBatch]], rows: int) -> PackedBatch:
    """Merge the rows of several stores into one batch, in their places."""
    if len(taken) == 1:
        return taken[0][1]
    length = taken[0][1].ids.shape[1]
    lengths = [np.full(len(one), length) if one.lengths is None else one.lengths for _, one in taken]
    types = [np.zeros_like(one.ids) if one.types is None else one.types for _, one in taken]
    labels = [one.labels for _, one in taken if one.labels is not None]
    places = [place for place, _ in taken]

    def placed(pieces: Sequence[Ints]) -> Ints:
        found: NDArray[np.int64] = np.empty((rows, *pieces[0].shape[1:]), np.int64)
        for place, piece in zip(places, pieces, strict=True):
            found[place] = piece
        return found

    return PackedBatch(
        placed([one.ids for _, one in taken]),
        placed(lengths) if any(one.lengths is not None for _, one in taken) else None,
        placed(types) if any(one.types is not None for _, one in taken) else None,
        placed(labels) if labels else None,
    )
