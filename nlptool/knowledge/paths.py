"""Paths between concepts: all simple paths of up to k relations, by bidirectional search.

Lin et al. 2019, section 3.2. A path of k relations joins a half path from the question's concept with one from the
answer's, so a search costs as much as its halves. Pairs are searched in batches, as arrays.
"""

# N nodes, E edges of the simple graph in both directions, P pairs, K paths, T nodes of a path, M half paths

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
AT_ONCE = 1 << 21  # half paths searched together
MOST = 1 << 21  # half paths, or paths, of one pair; with more, it is searched to fewer hops


class Paths(NamedTuple):
    """Paths, sorted by pair, then by length, then by score, the best first."""

    pairs: Ints
    """[K], the pair that each path joins."""
    nodes: Ints
    """[K, T], from the question's concept to the answer's; padded with -1."""
    relations: Ints
    """[K, T - 1], r along the direction of relation r, r + R against it; padded with -1."""
    lengths: Ints
    """[K], number of relations."""
    scores: Floats
    """[K], the product of the edges' scores."""
    unfinished: int
    """Pairs searched to fewer hops than requested, because they have more than MOST half paths."""


class Adjacency:
    """The simple undirected graph that paths run through: each edge once in both directions, sorted by its ends.

    begins [N + 1]: offset of each node's edges. targets [E]: their other ends. relations [E]: r, or r + R against its
    direction. scores [E]: plausibility of the edge, 0 to 1.
    """

    def __init__(self, begins: Ints, targets: Ints, relations: Ints, scores: Floats) -> None:
        self.begins, self.targets, self.relations, self.scores = begins, targets, relations, scores
        self.nodes = len(begins) - 1
        self.degrees = np.diff(begins)
        self._keys = np.repeat(np.arange(self.nodes), self.degrees) * np.int64(self.nodes) + targets
        self._walks = [np.ones(self.nodes, np.int64)]

    def edges(self, heads: Ints, tails: Ints) -> Ints:
        """Numbers of the edges between nodes, in the shape of heads; -1 where there is none."""
        pairs = heads * np.int64(self.nodes) + tails
        found = np.searchsorted(self._keys, pairs)
        there = np.zeros(pairs.shape, bool)
        inside = found < len(self._keys)
        there[inside] = self._keys[found[inside]] == pairs[inside]
        return np.where(there & (heads >= 0) & (tails >= 0), found, -1)

    def walks(self, steps: int) -> Ints:
        """Number of walks of `steps` steps that begin at each node, [N]."""
        while len(self._walks) <= steps:
            ahead = np.concatenate(([0], np.cumsum(self._walks[-1][self.targets])))
            self._walks.append(ahead[self.begins[1:]] - ahead[self.begins[:-1]])
        return self._walks[steps]

    def simple_paths(self, pairs_P2: Ints, hops: int, most: int | None = None) -> Paths:
        """All simple paths of 1 to `hops` relations between the nodes of each pair, [P, 2].

        most: how many paths of a pair are kept, the shortest first, then those of highest score; longer ones are not
        searched once there are enough. The two nodes of a pair differ.
        """
        found, counts = [], np.zeros(len(pairs_P2), np.int64)
        unfinished = np.zeros(len(pairs_P2), bool)
        for length in range(1, hops + 1):
            wanted = ~unfinished if most is None else ~unfinished & (counts < most)
            for chosen in self._portions(pairs_P2, np.flatnonzero(wanted), length, unfinished):
                owners, nodes_KT, over = self._of_length(pairs_P2[chosen], length)
                unfinished[chosen[over]] = True
                paths = self._described(chosen[owners], nodes_KT, hops)
                paths = paths if most is None else _first(paths, most - counts)
                counts += np.bincount(paths.pairs, minlength=len(counts))
                found.append(paths)
        return _joined(found, hops, int(unfinished.sum()))

    def _portions(
        self, pairs_P2: Ints, wanted: Ints, length: int, unfinished: NDArray[np.bool_]
    ) -> Iterator[Ints]:
        """Pairs grouped into batches; one that costs too much by itself is marked."""
        starts, ends = pairs_P2[wanted].T
        cost = self._cost(starts, ends, length)
        unfinished[wanted[cost > MOST]] = True
        wanted, cost = wanted[cost <= MOST], cost[cost <= MOST]
        portion = np.cumsum(cost) // AT_ONCE
        for number in np.unique(portion):
            yield wanted[portion == number]

    def _cost(self, starts: Ints, ends: Ints, length: int) -> Ints:
        """Half paths of each pair, where the longer half begins at the cheaper end, [P]."""
        longer, shorter = self.walks((length + 1) // 2), self.walks(length // 2)
        return np.asarray(np.minimum(longer[starts] + shorter[ends], longer[ends] + shorter[starts]))

    def _of_length(self, pairs_P2: Ints, length: int) -> tuple[Ints, Ints, Ints]:
        """Paths of one length: their pairs [K], their nodes [K, length + 1]; and the pairs that have too many."""
        longer, shorter = self.walks((length + 1) // 2), self.walks(length // 2)
        starts, ends = pairs_P2.T
        turned = longer[ends] + shorter[starts] < longer[starts] + shorter[ends]
        first, second = np.where(turned, ends, starts), np.where(turned, starts, ends)
        near, near_MT = self._half(first, second, (length + 1) // 2, last=length % 2 == 1 and length == 1)
        far, far_MT = self._half(second, first, length // 2, last=False)

        # Halves of one pair join where they end at the same node.
        keys = far * np.int64(self.nodes) + far_MT[:, -1]
        order = np.argsort(keys, kind="stable")
        pairs = near * np.int64(self.nodes) + near_MT[:, -1]
        low, high = (np.searchsorted(keys[order], pairs, side=side) for side in ("left", "right"))
        meetings = high - low
        over = np.flatnonzero(np.bincount(near, meetings, minlength=len(pairs_P2)) > MOST)
        if len(over):
            meetings = np.where(np.isin(near, over), 0, meetings)
        left = np.repeat(np.arange(len(near)), meetings)
        right = order[ranges(low, meetings)]
        owners = near[left]
        nodes_KT = np.concatenate([near_MT[left], far_MT[right][:, -2::-1]], axis=1)
        simple = _distinct(nodes_KT)
        owners, nodes_KT = owners[simple], nodes_KT[simple]
        backwards = turned[owners]
        nodes_KT[backwards] = nodes_KT[backwards][:, ::-1]
        return owners, nodes_KT, over

    def _half(self, starts: Ints, others: Ints, steps: int, *, last: bool) -> tuple[Ints, Ints]:
        """Paths of `steps` steps from each start: their pairs [M], their nodes [M, steps + 1].

        others: the other end of each pair, which a half path does not pass through; with `last` it may end there.
        """
        owners, nodes_MT = np.arange(len(starts)), starts[:, None]
        for step in range(steps):
            ends = nodes_MT[:, -1]
            degrees = self.degrees[ends]
            again = np.repeat(np.arange(len(ends)), degrees)
            reached = self.targets[ranges(self.begins[ends], degrees)]
            new = (nodes_MT[again] != reached[:, None]).all(1)
            if not (last and step == steps - 1):
                new &= reached != others[owners[again]]
            owners, nodes_MT = owners[again[new]], np.column_stack([nodes_MT[again[new]], reached[new]])
        return owners, nodes_MT

    def _described(self, owners: Ints, nodes_KT: Ints, hops: int) -> Paths:
        """Add relations and scores, pad to `hops`, and sort."""
        count, steps = len(owners), nodes_KT.shape[1] - 1
        edges = self.edges(nodes_KT[:, :-1], nodes_KT[:, 1:])
        scores = self.scores[edges].prod(1, dtype=np.float32) if count else np.empty(0, np.float32)
        order = np.lexsort((*nodes_KT.T[::-1], -scores, owners))
        nodes = np.full((count, hops + 1), -1, np.int64)
        relations = np.full((count, hops), -1, np.int64)
        nodes[:, : steps + 1], relations[:, :steps] = nodes_KT[order], self.relations[edges[order]]
        return Paths(owners[order], nodes, relations, np.full(count, steps), scores[order], 0)


def ranges(begins: Ints, counts: Ints) -> Ints:
    """The numbers begins[i] .. begins[i] + counts[i] - 1, for all i, concatenated."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - counts - begins, counts)


def _distinct(nodes_KT: Ints) -> NDArray[np.bool_]:
    """Whether the nodes of each path are distinct, [K]."""
    sorted_KT = np.sort(nodes_KT, axis=1)
    return np.asarray((sorted_KT[:, 1:] != sorted_KT[:, :-1]).all(1))


def _first(paths: Paths, room: Ints) -> Paths:
    """Keep at most room[p] paths of pair p. paths: sorted by pair; room: [P]."""
    begins = np.searchsorted(paths.pairs, paths.pairs)
    kept = np.arange(len(paths.pairs)) - begins < room[paths.pairs]
    return Paths(
        paths.pairs[kept],
        paths.nodes[kept],
        paths.relations[kept],
        paths.lengths[kept],
        paths.scores[kept],
        paths.unfinished,
    )


def _joined(found: list[Paths], hops: int, unfinished: int) -> Paths:
    """Concatenate and sort all paths."""
    if not found:
        none = np.empty(0, np.int64)
        empty = np.empty((0, hops + 1), np.int64)
        return Paths(none, empty, empty[:, 1:], none, np.empty(0, np.float32), unfinished)
    pairs, nodes, relations, lengths, scores = (
        np.concatenate([getattr(one, name) for one in found]) for name in Paths._fields[:5]
    )
    order = np.lexsort((np.arange(len(pairs)), lengths, pairs))
    return Paths(pairs[order], nodes[order], relations[order], lengths[order], scores[order], unfinished)
