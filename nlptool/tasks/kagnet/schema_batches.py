"""Rows with their schema graphs: read by number, and concatenated in a batch."""

# S statements, V nodes, K paths, T nodes of a path, P pairs of concepts

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.data.pair_inputs import EncodedBatch, TextPairDataset, Truncation
from nlptool.knowledge.paths import ranges
from nlptool.knowledge.schema_graphs import SchemaGraphStore

Ints = NDArray[np.int64]
QUESTION, ANSWER, NODES, EDGES, PATHS = range(5)  # columns of a store's counts


class StatementBatch(NamedTuple):
    """Some rows, the input of `collate`."""

    encoded: EncodedBatch
    """Inputs of the statement encoder; without ids where vectors are cached."""
    graphs: "PackedGraphs"
    vectors: NDArray[np.float32] | None
    """[S, D] of the statements, where they are cached."""


class PackedGraphs(NamedTuple):
    """Concatenated schema graphs of S statements, as in `network.SchemaGraphs`, with the entities of nodes."""

    entities: Ints
    """[V]"""
    edges: Ints
    pairs: Ints
    statements: Ints
    paths: Ints
    relations: Ints
    path_lengths: Ints
    owners: Ints


class KagNetDataset:
    """A split with its schema graphs, by random access.

    texts: question and choice of each statement. min_score: paths that score less are pruned. unfinished: pairs with
    an unfinished search. vectors: of the statements, [N * C, D], where they are cached. assumed: D, where zeros
    replace them, to count the cost of a step.
    """

    def __init__(
        self, rows: TextPairDataset, store: SchemaGraphStore, texts: Sequence[str], *, all_pairs: bool
    ) -> None:
        self.rows, self.store, self.texts, self.all_pairs = rows, store, texts, all_pairs
        self.min_score, self.unfinished = 0.0, 0
        self.vectors: NDArray[np.float32] | None = None
        self.assumed = 0
        self.lengths, self.labels = rows.lengths, rows.labels
        self.count, self.labelled = rows.count, rows.labelled
        self.cuts: tuple[Truncation, ...] = rows.cuts

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Ints) -> StatementBatch:
        """Rows `indices` [N]."""
        choices = self.rows.choices
        statements = (indices[:, None] * choices + np.arange(choices)).ravel()
        graphs = self.packed(statements)
        vectors = self.vectors
        if vectors is None and self.assumed:
            vectors = np.broadcast_to(np.float32(0), (len(self) * choices, self.assumed))
        if vectors is None:
            return StatementBatch(self.rows.take(indices), graphs, None)
        none = np.zeros((len(statements), 0), np.int64)
        lengths = self.rows.document_lengths[statements]
        encoded = EncodedBatch(none, none, lengths, self.labels[indices], indices)
        return StatementBatch(encoded, graphs, vectors[statements])

    def packed(self, statements: Ints) -> PackedGraphs:
        """The schema graphs of some statements, without pruned paths."""
        store, size = self.store, len(statements)
        counts_S5 = store.counts[statements].astype(np.int64)
        begins_S5 = store.begins[statements]
        first_S = np.cumsum(counts_S5[:, NODES]) - counts_S5[:, NODES]
        nodes = int(counts_S5[:, NODES].sum())
        entities = store.nodes[ranges(begins_S5[:, NODES], counts_S5[:, NODES])].astype(np.int64)

        rows = ranges(begins_S5[:, PATHS], counts_S5[:, PATHS])
        of_K = np.repeat(np.arange(size), counts_S5[:, PATHS])
        kept = store.scores[rows] >= self.min_score
        rows, of_K = rows[kept], of_K[kept]
        local_KT = store.paths[rows].astype(np.int64)
        real_KT = local_KT >= 0
        paths_KT = np.where(real_KT, local_KT + first_S[of_K][:, None], nodes)
        relations_KT = np.zeros_like(paths_KT)
        relations_KT[:, :-1] = store.relations[rows] + 1
        lengths_K = real_KT.sum(1)

        ends_K2 = np.stack([paths_KT[:, 0], paths_KT[np.arange(len(rows)), lengths_K - 1]], 1)
        every_P2, of_every = _all_pairs(counts_S5, first_S)
        wanted_P2 = every_P2 if self.all_pairs else ends_K2
        of_wanted = of_every if self.all_pairs else of_K
        width = nodes + 2
        keys, at = np.unique(wanted_P2 @ np.array([width, 1]), return_index=True)
        pairs_P2, of_P = wanted_P2[at], of_wanted[at]
        # Ascending by statement, like the nodes.
        owners_K = np.searchsorted(keys, ends_K2 @ np.array([width, 1]))
        isolated = np.setdiff1d(np.arange(size), of_P)
        none_P2 = np.full((len(isolated), 2), nodes + 1, np.int64)
        order = np.argsort(np.concatenate([of_P, isolated]), kind="stable")
        moved = np.empty_like(order)
        moved[order] = np.arange(len(order))

        hops_2M = np.concatenate([paths_KT[:, [t, t + 1]][real_KT[:, t + 1]] for t in range(store.hops)])
        unjoined = ~np.isin(of_every, of_K)  # the released code joins the sides where no path does
        within = store.edges[ranges(begins_S5[:, EDGES], counts_S5[:, EDGES])].astype(np.int64)
        within += np.repeat(first_S, counts_S5[:, EDGES])[:, None]
        edges_M2 = np.sort(np.concatenate([hops_2M, within, every_P2[unjoined]]), axis=1)
        edges_M2 = np.unique(edges_M2, axis=0)
        return PackedGraphs(
            entities=entities,
            edges=np.concatenate([edges_M2, edges_M2[:, ::-1]]).T,
            pairs=np.concatenate([pairs_P2, none_P2])[order],
            statements=np.concatenate([of_P, isolated])[order],
            paths=np.concatenate([paths_KT, np.full((1, store.hops + 1), nodes)]),
            relations=np.concatenate([relations_KT, np.zeros((1, store.hops + 1), np.int64)]),
            path_lengths=np.append(lengths_K, 1),
            owners=np.append(moved[owners_K], len(order)),
        )


def _all_pairs(counts_S5: Ints, first_S: Ints) -> tuple[Ints, Ints]:
    """All pairs of a statement's question and answer concepts, [P, 2], and their statements, [P]."""
    questions, answers = counts_S5[:, QUESTION], counts_S5[:, ANSWER]
    of_P = np.repeat(np.arange(len(counts_S5)), questions * answers)
    number = ranges(np.zeros_like(questions), questions * answers)
    question, answer = number % np.maximum(questions, 1)[of_P], number // np.maximum(questions, 1)[of_P]
    return np.stack([first_S[of_P] + question, first_S[of_P] + questions[of_P] + answer], 1), of_P
