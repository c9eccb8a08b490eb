"""Entity and relation embeddings of a graph, memory-mapped: the final/ of `nlptool pretrain-transe`.

FOLDER/model.safetensors   entity.weight float32 [entities, width], relation.weight float32 [relations, width]
FOLDER/config.json         graph_fingerprint: of the graph that numbers the rows
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool import weights_record
from nlptool.atomic_files import open_regular, read_json
from nlptool.errors import DataError
from nlptool.knowledge.graph import Graph

WEIGHTS, CONFIG = "model.safetensors", "config.json"
ENTITY, RELATION = "entity.weight", "relation.weight"
PICKLES = ("*.pt", "*.pth", "*.ckpt", "*.pkl", "pytorch_model.bin")
MAKE = "train them: nlptool pretrain-transe RECIPE graph=GRAPH"
AT_ONCE = 1 << 24  # numbers checked for NaN at once


class EntityEmbeddings:
    """Embeddings by the numbers of a graph. Nothing is copied: a row is read from disk when it is indexed.

    entities: float32 [entities, width]; relations: float32 [relations, width]; read-only. graph: the fingerprint of
    the graph. Raises DataError where the folder is damaged, holds NaN or infinity, or, given a graph, belongs to
    another one or has another number of rows.
    """

    def __init__(self, path: Path, graph: Graph | None = None) -> None:
        self.path = path
        self.names = graph
        """The graph, if it is known; it names the entities."""
        weights_record.notify_if_superseded(path)
        try:
            self.config: dict[str, Any] = read_json(path / CONFIG, dict, MAKE)
            found = mapped_tensors(path / WEIGHTS)
        except FileNotFoundError as error:
            pickles = [file.name for pattern in PICKLES for file in path.glob(pattern)]
            if pickles:
                raise DataError(
                    f"{path / pickles[0]}: is a pickle, which can run code and is not read",
                    hint="convert it: safetensors.numpy.save_file({'entity.weight': ..., 'relation.weight': ...})",
                ) from None
            raise DataError(
                f"{path}: holds no embeddings ({Path(error.filename).name} is missing)", hint=MAKE
            ) from None
        if not {ENTITY, RELATION} <= found.keys():
            raise DataError(f"{path / WEIGHTS}: has no {ENTITY} and {RELATION}", hint=MAKE)
        if graph is not None:
            graph.require(self.config.get("graph_fingerprint"), str(path))
        self.graph = str(self.config.get("graph_fingerprint"))
        self.entities, self.relations = found[ENTITY], found[RELATION]
        for name, table, rows in (
            (ENTITY, self.entities, len(self.entities) if graph is None else len(graph.entities)),
            (RELATION, self.relations, len(self.relations) if graph is None else len(graph.relations)),
        ):
            if table.ndim != 2 or len(table) != rows or table.dtype != np.float32:
                shape = f"{table.dtype} {list(table.shape)}"
                raise DataError(
                    f"{path / WEIGHTS}: {name} is {shape}, not float32 [{rows}, width]", hint=MAKE
                )
            if (row := _first_not_finite(table)) is not None:
                raise DataError(f"{path / WEIGHTS}: {name} has NaN or infinity in row {row:,}", hint=MAKE)

    def label(self, entity: int) -> str:
        """Label of an entity; its number if the graph is not known."""
        return f"entity {entity}" if self.names is None else self.names.label(entity)

    @property
    def width(self) -> int:
        """Size of an entity's embedding."""
        return int(self.entities.shape[1])


def mapped_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The float32 tensors of a safetensors file, memory-mapped and read-only.

    Raises DataError; FileNotFoundError passes.

    The format: 8 bytes with the length of the header, the header in JSON, and the tensors end to end.
    """
    with open_regular(path, MAKE) as file:
        try:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, 1 << 24)))
            found = {}
            for name, tensor in header.items():
                if name != "__metadata__" and tensor["dtype"] == "F32":
                    start, stop = tensor["data_offsets"]
                    flat = np.memmap(path, "<f4", "r", 8 + size + start, ((stop - start) // 4,))
                    found[name] = np.asarray(flat).reshape(tensor["shape"])
        except (ValueError, KeyError, TypeError, AttributeError, struct.error, OSError):
            raise DataError(f"{path}: is not a whole safetensors file", hint=MAKE) from None
    return found


def _first_not_finite(table: NDArray[Any]) -> int | None:
    step = max(AT_ONCE // max(table.shape[1], 1), 1)
    for first in range(0, len(table), step):
        bad = ~np.isfinite(table[first : first + step]).all(1)
        if bad.any():
            return first + int(bad.argmax())
    return None
