"""The simple graph that paths run through, built from triples; each edge is scored by TransE."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from nlptool.knowledge.graph import Graph
from nlptool.knowledge.paths import Adjacency, Floats, Ints
from nlptool.knowledge.stop_words import ENGLISH, UNSPECIFIC_NODES

SYMMETRIC = ("antonym", "relatedto")
"""Relations whose triples count in both directions, as in pathfinder/path_scoring.py of the released code."""
PIECE = 1 << 16  # triples scored at once

Vectors = NDArray[np.float32]


def adjacency_of(
    graph: Graph,
    vectors: tuple[Vectors, Vectors] | None = None,
    *,
    drop: Collection[str] = (),
    stop_words: bool = True,
) -> Adjacency:
    """Build the simple graph of the training triples.

    If two concepts have several relations, the edge takes the first one along its direction, else the first one
    against it; its score is that of the best of them, (1 + cos(r, t - h)) / 2 (path_scoring.py). vectors: of entities
    [N, E] and relations [R, E]; None: every edge scores 1. drop: names of relations to leave out, in lower case.
    stop_words: whether to leave out unspecific concepts and those with a stop word.
    """
    heads, kinds, tails = (np.asarray(column, np.int64) for column in graph.triples())
    relations = [name.lower() for name in graph.relations]
    allowed = np.array([name not in drop for name in relations], bool)[kinds] & (heads != tails)
    if stop_words:
        specific = np.array([_is_specific(name) for name in graph.entities], bool)
        allowed &= specific[heads] & specific[tails]
    heads, kinds, tails = heads[allowed], kinds[allowed], tails[allowed]
    scores = np.ones(len(heads), np.float32)
    if vectors is not None:
        scores = triple_scores(*vectors, heads, kinds, tails)
        both = np.array([name in SYMMETRIC for name in relations], bool)[kinds]
        turned = triple_scores(*vectors, tails[both], kinds[both], heads[both])
        scores[both] = np.maximum(scores[both], turned)

    source, target = np.concatenate([heads, tails]), np.concatenate([tails, heads])
    along = np.concatenate([kinds, kinds + len(relations)])
    order = np.lexsort((along, target, source))
    source, target, along, scores = source[order], target[order], along[order], np.tile(scores, 2)[order]
    first = np.ones(len(source), bool)
    first[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
    begins = np.searchsorted(source[first], np.arange(len(graph.entities) + 1))
    best = np.maximum.reduceat(scores, np.flatnonzero(first)) if len(scores) else scores
    return Adjacency(begins.astype(np.int64), target[first], along[first], best)


def triple_scores(entities: Vectors, relations: Vectors, heads: Ints, kinds: Ints, tails: Ints) -> Floats:
    """(1 + cos(r, t - h)) / 2 of each triple, [N]."""
    found = np.empty(len(heads), np.float32)
    for first in range(0, len(heads), PIECE):
        some = slice(first, first + PIECE)
        moved, along = entities[tails[some]] - entities[heads[some]], relations[kinds[some]]
        lengths = np.linalg.norm(moved, axis=1) * np.linalg.norm(along, axis=1)
        found[some] = (1 + (moved * along).sum(1) / np.maximum(lengths, 1e-12)) / 2
    return found


def _is_specific(name: str) -> bool:
    words = name.replace("_", " ").lower().split()
    return not any(word in ENGLISH for word in words) and " ".join(words) not in UNSPECIFIC_NODES
