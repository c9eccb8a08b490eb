"""A knowledge graph: a folder of triples, numbered, sorted and memory-mapped. `nlptool knowledge` writes it.

GRAPH/graph.json                         counts, what was dropped and why, fingerprint, digests of the files
GRAPH/entities.txt relations.txt         names, one a line, sorted by their bytes: a number is a line, from 0
GRAPH/train.npy validation.npy test.npy  int32 [3, N]: heads, relations, tails; sorted by head, relation, tail
GRAPH/labels.txt labels.entities.npy     labels in text: label i belongs to entity labels.entities[i]

Entities are those of the training triples. Numbers follow from the names alone, the fingerprint from all files:
models trained on a graph and stores linked to it record the fingerprint, and are refused with another graph.
"""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.atomic_files import Shape, read_json
from nlptool.errors import DataError
from nlptool.knowledge.names import AGAIN, Names, open_array
from nlptool.manifests import require_recorded

SPLITS = ("train", "validation", "test")
EARLIER = {"validation.npy": "valid.npy"}
"""File names of the first version, which can still be read; a fingerprint is computed with these names."""
FACTS = "graph.json"
VERSION = 1
LIKE: Shape = {
    "version": object,
    "fingerprint": str,
    "files": {str: object},
    "entities": int,
    "relations": int,
    "triples": {"train": int, str: int},
    "labels": int,
    "labels_of_others": int,
    "pairs_without": int,
    "dropped": {str: {str: int}},
    "questions?": {str: int},
}
"""Required shape of graph.json."""

Ids = NDArray[np.int32]


class Triples(NamedTuple):
    """Columns of numbers [N], views into a file; distinct triples sorted by head, relation, tail."""

    heads: Ids
    relations: Ids
    tails: Ids

    def __len__(self) -> int:  # number of triples, not of columns
        return len(self.heads)


class Graph:
    """A graph as `nlptool knowledge` writes it. Raises DataError where it is damaged.

    entities, relations: their names (`len`, `[number]`, `find(name)`).
    info: the contents of graph.json.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.info = read_json(path / FACTS, dict, AGAIN, LIKE)
        except FileNotFoundError:
            raise DataError(
                f"{path}: is not a knowledge graph (no {FACTS})", hint="make one: nlptool knowledge RECIPE"
            ) from None
        if self.info["version"] != VERSION:
            raise DataError(
                f"{path / FACTS}: is not of version {VERSION}, which this nlptool reads", hint=AGAIN
            )
        self.fingerprint = str(self.info.get("fingerprint"))
        """Identifies this graph: 64 hexadecimal digits."""
        require_recorded(path, self.info["files"], AGAIN)
        self.entities = Names(path / "entities.txt")
        self.relations = Names(path / "relations.txt")

    def triples(self, split: str = "train") -> Triples:
        """The triples of `train`, `validation` or `test`; empty where the graph has no such split."""
        path = self.path / f"{split}.npy"
        if path.name not in self.info["files"]:
            path = path.with_name(EARLIER.get(path.name, path.name))
        if path.name not in self.info["files"]:
            return Triples(*np.empty((3, 0), np.int32))
        columns = open_array(path, "<i4", 2)
        return Triples(*columns)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Numbers of entities, relations and triples of each split."""
        sizes = {split: len(self.triples(split)) for split in SPLITS}
        return {"entities": len(self.entities), "relations": len(self.relations)} | sizes

    @cached_property
    def labels(self) -> "Labels":
        """Labels of entities; empty where the graph was built without labels."""
        return Labels(self)

    def label(self, entity: int) -> str:
        """First label of an entity, or its name where it has none."""
        return self.labels.first(entity) or self.entities[entity]

    def require(self, fingerprint: object, what: str) -> None:
        """Raise DataError where something was made with another graph. what: names it in the message."""
        if fingerprint != self.fingerprint:
            raise DataError(
                f"{what}: was made with another graph than {self.path} (the fingerprints differ)",
                hint="name the graph that it was made with, or make it again with this one",
            )


class Labels:
    """Labels of a graph's entities, sorted by entity, in the order in which they were given."""

    def __init__(self, graph: Graph) -> None:
        self.path = graph.path / "labels.txt"
        known = self.path.name in graph.info["files"]
        self.texts: Names | list[str] = Names(self.path, is_sorted=False) if known else []
        self.entities: Ids = (
            open_array(graph.path / "labels.entities.npy", "<i4", 1) if known else np.empty(0, np.int32)
        )

    def __len__(self) -> int:
        return len(self.texts)

    def of(self, entity: int) -> list[str]:
        """All labels of an entity."""
        first, last = np.searchsorted(self.entities, [entity, entity + 1])
        return list(self.texts[first:last])

    def first(self, entity: int) -> str | None:
        """The label that was given first; None where there is none."""
        place = int(np.searchsorted(self.entities, entity))
        return self.texts[place] if place < len(self) and self.entities[place] == entity else None
