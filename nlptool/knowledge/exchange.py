"""Exports a graph and its embeddings to the file formats of OpenKE and PyKEEN, with the numbers of the graph.

OUT/entity2id.txt relation2id.txt        OpenKE: a count, then name and number
OUT/train2id.txt valid2id.txt ...        a count, then head, tail and relation
OUT/entity2vec.vec relation2vec.vec      a row of tab-separated numbers for each, as ERNIE's code reads them

OUT/train/numeric_triples.tsv.gz ...     PyKEEN: what TriplesFactory.from_path_binary reads, a folder for each split
OUT/entity_vectors.npy ...               float32 [entities, width], for its PretrainedInitializer
"""

import csv
import gzip
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool.knowledge.embeddings import EntityEmbeddings
from nlptool.knowledge.graph import SPLITS, Graph
from nlptool.knowledge.names import Names
from nlptool.knowledge.sources import OPENKE

ROWS = 10_000  # rows of a file held at a time


def write_openke(folder: Path, graph: Graph, vectors: EntityEmbeddings | None) -> None:
    """Write OpenKE's files into a folder, atomically."""
    for kind, names in (("entity", graph.entities), ("relation", graph.relations)):
        _write_lines(
            folder / f"{kind}2id.txt", len(names), (f"{name}\t{at}" for at, name in enumerate(names))
        )
    for split, name in OPENKE.items():
        heads, relations, tails = graph.triples(split)
        if len(heads):
            rows = _rows(np.stack([heads, tails, relations], 1))
            _write_lines(folder / name, len(heads), (" ".join(map(str, row)) for row in rows))
    if vectors is not None:
        for kind, table in (("entity", vectors.entities), ("relation", vectors.relations)):
            with (folder / f"{kind}2vec.vec").open("w") as file:
                np.savetxt(file, table, "%.9g", "\t")


def write_pykeen(folder: Path, graph: Graph, vectors: EntityEmbeddings | None) -> list[Path]:
    """Write PyKEEN's files into a folder, atomically, and return the folders of the splits."""
    splits = [split for split in SPLITS if len(graph.triples(split))]
    for split in splits:
        inside = folder / split
        inside.mkdir()
        rows = _rows(np.stack(graph.triples(split), 1))
        _write_table(inside / "numeric_triples.tsv.gz", ("head", "relation", "tail"), rows)
        for kind, names in (("entity", graph.entities), ("relation", graph.relations)):
            _write_table(inside / f"{kind}_to_id.tsv.gz", ("id", "label"), enumerate(names))
    if vectors is not None:
        np.save(folder / "entity_vectors.npy", vectors.entities)
        np.save(folder / "relation_vectors.npy", vectors.relations)
    return [folder / split for split in splits]


def _write_lines(path: Path, count: int, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf8") as file:
        file.write(f"{count}\n")
        file.writelines(f"{line}\n" for line in lines)


def _write_table(path: Path, columns: tuple[str, ...], rows: Iterable[Iterable[object]]) -> None:
    with gzip.GzipFile(path, "wb", mtime=0) as packed, TextIOWrapper(packed, "utf8", newline="") as file:
        writer = csv.writer(file, "excel-tab", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _rows(table: NDArray[Any]) -> Iterator[list[int]]:
    for first in range(0, len(table), ROWS):
        yield from table[first : first + ROWS].tolist()


def unnamed(names: Names) -> list[str]:
    """Names that pandas, with which PyKEEN reads files, takes for missing values."""
    return [name for name in NO_VALUES if names.find(name) is not None]


NO_VALUES = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
