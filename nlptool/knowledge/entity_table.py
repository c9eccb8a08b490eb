"""Entities of a graph with their embeddings, looked up for the mentions of a text."""

from pathlib import Path

import numpy as np

from nlptool.knowledge.embeddings import EntityEmbeddings
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.linking import LabelLinker


class EntityTable:
    """A graph and the embeddings trained on it.

    Raises DataError where a folder is damaged, or the embeddings belong to another graph.
    """

    def __init__(self, graph: Path, embeddings: Path) -> None:
        self.graph = Graph(graph)
        self.embeddings = EntityEmbeddings(embeddings, self.graph)
        self._known: dict[str, int | None] = {}
        self._linkers: dict[tuple[str, int], LabelLinker] = {}

    def find(self, entity: str) -> int | None:
        """Number of an entity by its name; None where the graph has no training triple of it."""
        if entity not in self._known:
            self._known[entity] = self.graph.entities.find(entity)
        return self._known[entity]

    def label_linker(self, ambiguous: str, shortest: int) -> LabelLinker:
        """Linker that finds the graph's labels in a text; built once for each pair of arguments."""
        if (ambiguous, shortest) not in self._linkers:
            self._linkers[ambiguous, shortest] = LabelLinker(self.graph.path, ambiguous, shortest)
        return self._linkers[ambiguous, shortest]

    def related(self, one: int, other: int) -> bool:
        """Whether a training triple links two entities, in either direction."""
        heads, _, tails = self.graph.triples()
        for head, tail in ((one, other), (other, one)):
            first, last = np.searchsorted(heads, [head, head + 1])
            if (tails[first:last] == tail).any():
                return True
        return False
