"""Rows of a store whose tokens are linked to a graph, with their links."""

# N rows, P pieces of rows, M links, C distinct entities

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nlptool.data.pretraining_examples.rows import Ints, PackedBatch
from nlptool.data.random_streams import RandomStreams
from nlptool.text.links import LinkFile
from nlptool.text.store import Split

LinkedTokens = Literal["first", "alternate"]


class Pieces(NamedTuple):
    """Stretches of a split's tokens in rows, [P] each: piece i is tokens [start, stop), from a column of a row on."""

    row: Ints
    column: Ints
    start: Ints
    stop: Ints


@dataclass(frozen=True)
class RowLinks:
    """The links of N rows, row by row; positions within a row rise."""

    row: Ints
    """[M]."""
    at: Ints
    """[M], positions within rows."""
    entity: Ints
    """[M], numbers in the graph."""
    candidates: Ints
    """[C], entities of all rows of the step, ascending."""
    commonest: int
    """Index of the candidate with most links in the step; 0 where there is none."""
    most: int
    """Links of the row with most of them in the step."""


class Cut(Protocol):
    """A way to cut a split into rows that also reports the origin of their tokens."""

    split: Split

    def __len__(self) -> int:
        """Rows per epoch."""
        ...

    def take(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> PackedBatch:
        """Rows `indices` [N] of `epochs` [N]."""
        ...

    def pieces(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> Pieces:
        """Origin of the tokens of these rows; reads no token."""
        ...


class LinkedRows:
    """Rows of a cut, with their links.

    Denoising compares an entity with all others of its step. These follow from the numbers of the step's rows, so
    every rank and micro-batch computes them on its own, without reading a token.

    tokens: `first`, a mention is linked at its first token, as the paper has it; `alternate`, at its first, third,
    fifth and so on, as create_instances.py of the released code does for mentions of three and more tokens, which
    compares each with the one before that it has just changed.
    """

    def __init__(self, cut: Cut, links: LinkFile, tokens: LinkedTokens = "first") -> None:
        self.cut, self.links, self.tokens, self.split = cut, links, tokens, cut.split

    def __len__(self) -> int:
        """Rows per epoch."""
        return len(self.cut)

    def take(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> PackedBatch:
        """Rows `indices` [N] of `epochs` [N], as a step by themselves."""
        return self.take_of_step(indices, epochs, draws, slice(0, len(indices)))

    def take_of_step(self, indices: Ints, epochs: Ints, draws: RandomStreams, rows: slice) -> PackedBatch:
        """Some rows of a step. indices, epochs, draws: of all its rows."""
        row_M, at_M, entity_M = self._find(self.cut.pieces(indices, epochs, draws))
        candidates_C, which_M, counts_C = np.unique(entity_M, return_inverse=True, return_counts=True)
        own = (row_M >= rows.start) & (row_M < rows.stop)
        links = RowLinks(
            row_M[own] - rows.start,
            at_M[own],
            entity_M[own],
            candidates_C,
            int(counts_C.argmax()) if len(which_M) else 0,
            int(np.bincount(row_M).max(initial=0)),
        )
        taken = self.cut.take(indices[rows], epochs[rows], draws.at(rows.start))
        return replace(taken, links=links)

    def _find(self, pieces: Pieces) -> tuple[Ints, Ints, Ints]:
        """Row, position within it and entity of each link of the pieces, in the order of rows and positions."""
        first_P, last_P = self.links.ranges(pieces.start, pieces.stop)
        piece_M, link_M = _spread(last_P - first_P, first_P)
        positions, lengths, entities = self.links.all
        row_M, stop_M = pieces.row[piece_M], pieces.stop[piece_M]
        place_M, entity_M = positions[link_M].astype(np.int64), entities[link_M].astype(np.int64)
        column_M = pieces.column[piece_M] - pieces.start[piece_M]
        if self.tokens == "alternate":
            again, step = _spread(
                (lengths[link_M].astype(np.int64) + 1) // 2, np.zeros(len(link_M), np.int64)
            )
            place_M = place_M[again] + 2 * step
            inside = place_M < stop_M[again]
            again, place_M = again[inside], place_M[inside]
            row_M, column_M, entity_M = row_M[again], column_M[again], entity_M[again]
        return row_M, place_M + column_M, entity_M


def _spread(counts: Ints, first: Ints) -> tuple[Ints, Ints]:
    """For each i, counts[i] times i, and first[i], first[i] + 1 and so on."""
    owner = np.repeat(np.arange(len(counts)), counts)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner, first[owner] + inside


def runs(true_NT: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
    """Row, first column and length of each stretch of True."""
    edges = np.diff(np.pad(true_NT, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, begin = np.nonzero(edges == 1)
    _, end = np.nonzero(edges == -1)
    return row, begin, end - begin
