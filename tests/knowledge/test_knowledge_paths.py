"""Paths against networkx, with every setting of the search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlptool.knowledge import paths as searched
from nlptool.knowledge.paths import Adjacency

networkx = pytest.importorskip("networkx")


def adjacency(nodes: int, edges: set[tuple[int, int]], scores: dict | None = None) -> Adjacency:
    both = sorted({(a, b) for a, b in edges} | {(b, a) for a, b in edges})
    source = np.array([a for a, _ in both], np.int64)
    target = np.array([b for _, b in both], np.int64)
    begins = np.searchsorted(source, np.arange(nodes + 1)).astype(np.int64)
    given = [(scores or {}).get((min(a, b), max(a, b)), 1.0) for a, b in both]
    return Adjacency(begins, target, np.arange(len(both)) % 3, np.array(given, np.float32))


def found(made: Adjacency, pairs: list[tuple[int, int]], hops: int, most: int | None = None) -> list[set]:
    paths = made.simple_paths(np.array(pairs, np.int64).reshape(-1, 2), hops, most)
    sets: list[set] = [set() for _ in pairs]
    for pair, nodes, length in zip(paths.pairs, paths.nodes.tolist(), paths.lengths, strict=True):
        path = tuple(nodes[: length + 1])
        assert path not in sets[pair]
        assert nodes[length + 1 :] == [-1] * (hops - length)
        sets[pair].add(path)
    return sets


graphs = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] < e[1])),
    )
)


@settings(max_examples=30, deadline=None)
@given(graphs, st.integers(1, 4), st.sampled_from([1, 50, 1 << 21]))
def test_paths_are_the_simple_paths_of_networkx(graph, hops: int, at_once: int):
    nodes, edges = graph
    theirs = networkx.Graph()
    theirs.add_nodes_from(range(nodes))
    theirs.add_edges_from(edges)
    pairs = [(a, b) for a in range(nodes) for b in range(nodes) if a != b]
    before, searched.AT_ONCE = searched.AT_ONCE, at_once
    try:
        ours = found(adjacency(nodes, edges), pairs, hops)
    finally:
        searched.AT_ONCE = before
    for (a, b), paths in zip(pairs, ours, strict=True):
        assert paths == {tuple(p) for p in networkx.all_simple_paths(theirs, a, b, cutoff=hops)}


def test_the_shortest_are_kept_and_of_these_the_likeliest():
    edges = {(0, 1), (0, 2), (2, 1), (0, 3), (3, 1), (0, 4), (4, 5), (5, 1)}
    made = adjacency(6, edges, {(0, 2): 0.5, (0, 3): 0.9})
    assert found(made, [(0, 1)], 3, most=1) == [{(0, 1)}]
    assert found(made, [(0, 1)], 3, most=2) == [{(0, 1), (0, 3, 1)}]
    assert found(made, [(0, 1), (1, 0)], 3, most=9)[1] == {(1, 0), (1, 2, 0), (1, 3, 0), (1, 5, 4, 0)}
    paths = made.simple_paths(np.array([[0, 1]]), 3)
    assert paths.scores.tolist() == pytest.approx([1.0, 0.9, 0.5, 1.0])


def test_a_pair_with_too_many_half_paths_is_searched_to_fewer_hops_and_counted(monkeypatch):
    spokes = {(0, n) for n in range(1, 30)} | {(n, 30) for n in range(1, 30)}
    made = adjacency(31, spokes)
    whole = made.simple_paths(np.array([[0, 30], [1, 2]]), 3)
    assert whole.unfinished == 0
    monkeypatch.setattr(searched, "MOST", 70)
    paths = made.simple_paths(np.array([[0, 30], [1, 2]]), 3)
    assert paths.unfinished == 1
    assert np.bincount(paths.pairs).tolist() == [29, 2]


def test_no_pair_and_no_edge_are_no_path():
    made = adjacency(3, set())
    assert found(made, [], 2) == []
    assert found(made, [(0, 1)], 3) == [set()]
