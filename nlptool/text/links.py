"""Entity links of a token store, in a file beside Megatron's two, which stay unchanged.

STORE/train.links, heldout.links:
    bytes 0-7     NLPLINKS
    bytes 8-15    version 1, uint64
    bytes 16-23   number of links N, uint64
    bytes 24-55   fingerprint of the graph, 32 bytes
    bytes 56-87   fingerprint of the tokenizer, 32 bytes
    then          positions int64 [N], entities int32 [N], lengths uint16 [N]

A position is the index of the mention's first token in its split, as for `Split.read`; positions are strictly
ascending. A length is the mention's number of tokens; an entity is its number in the graph. All values are
little-endian and memory-mapped; the links of a stretch of tokens are found by bisection.
"""

import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.errors import DataError
from nlptool.manifests import require_recorded
from nlptool.text.store import AGAIN, TokenStore

MAGIC = b"NLPLINKS"
VERSION = 1
HEADER = "<8sQQ32s32s"
SIZE = struct.calcsize(HEADER)
MOST_TOKENS = 2**16 - 1  # of one mention
PIECE = 1 << 20


class Links(NamedTuple):
    """Links in the order of the text, views into the file; a NamedTuple of columns [N]."""

    positions: NDArray[np.int64]
    """First token of each mention, as an index in the split."""
    lengths: NDArray[np.uint16]
    """Tokens of each mention."""
    entities: NDArray[np.int32]
    """The linked entities, as numbers in the graph."""


class LinkFile:
    """PREFIX.links. Raises DataError where it is missing or damaged."""

    def __init__(self, prefix: Path) -> None:
        path = self.path = prefix.with_suffix(".links")
        try:
            with path.open("rb") as file:
                magic, version, count, graph, tokenizer = struct.unpack(HEADER, file.read(SIZE))
        except (OSError, struct.error):
            raise DataError(f"{path}: is missing or empty", hint=AGAIN) from None
        if magic != MAGIC or version != VERSION or path.stat().st_size != SIZE + 14 * count:
            raise DataError(f"{path}: is not a whole file of links, version {VERSION}", hint=AGAIN)
        self.graph, self.tokenizer = graph.hex(), tokenizer.hex()
        """Fingerprints of the graph that numbers the entities, and of the tokenizer."""
        raw = np.asarray(np.memmap(path, np.uint8, mode="r"))[SIZE:]
        self.all = Links(
            raw[: 8 * count].view("<i8"),
            raw[12 * count :].view("<u2"),
            raw[8 * count : 12 * count].view("<i4"),
        )
        """All links of the split."""

    def __len__(self) -> int:
        return len(self.all.positions)

    def ranges(
        self, starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each stretch [start, stop) of tokens its first link, and the one after its last: [R] each."""
        return np.searchsorted(self.all.positions, starts), np.searchsorted(self.all.positions, stops)


def open_links(store: TokenStore, split: str, graph: str) -> LinkFile:
    """The links of a split, checked against the fingerprints of the graph and the store's tokenizer.

    Raises DataError where the store has none, or they belong to another graph or are damaged.
    """
    if "links" not in store.info:
        raise DataError(
            f"{store.path}: is a token store without links to a graph",
            hint="make one with links: nlptool tokenize RECIPE links.graph=GRAPH",
        )
    name = f"{split}.links"
    require_recorded(store.path, {name: store.files[name]} if name in store.files else {}, AGAIN)
    found = LinkFile(store.path / split)
    if found.graph != graph:
        raise DataError(
            f"{found.path}: links to another graph than the one that is named (the fingerprints differ)",
            hint="name the graph that the store was made with, or make the store again with this one",
        )
    if found.tokenizer != store.fingerprint:
        raise DataError(f"{found.path}: was made with another tokenizer than the store", hint=AGAIN)
    return found


class LinkWriter:
    """Writes PREFIX.links document by document; memory does not grow with the corpus."""

    def __init__(self, prefix: Path, graph: str, tokenizer: str) -> None:
        """graph, tokenizer: the fingerprints of `Graph.fingerprint` and `Tokenizer.fingerprint`."""
        self.prefix, self.count = prefix, 0
        self._owners = bytes.fromhex(graph), bytes.fromhex(tokenizer)
        self._parts: list[IO[bytes]] = [
            prefix.with_suffix(f".link-{name}.partial").open("w+b") for name in Links._fields
        ]

    def add(self, links: Links, base: int = 0) -> None:
        """Append links in ascending order; base + positions are indices in the split."""
        columns = (links.positions + np.int64(base), links.lengths, links.entities)
        for file, column, dtype in zip(self._parts, columns, ("<i8", "<u2", "<i4"), strict=True):
            file.write(np.ascontiguousarray(column, dtype).data)
        self.count += len(links.positions)

    def pop(self, start: int) -> Links:
        """Remove the links from token `start` of the split on: those of the last document."""
        positions, lengths, entities = (
            _read(file, dtype) for file, dtype in zip(self._parts, ("<i8", "<u2", "<i4"), strict=True)
        )
        first = int(np.searchsorted(positions, start))
        for file, size in zip(self._parts, (8, 2, 4), strict=True):
            file.seek(first * size)
            file.truncate()
        self.count = first
        return Links(positions[first:], lengths[first:], entities[first:])

    def close(self) -> None:
        """Write the file and remove the temporary ones."""
        positions, lengths, entities = self._parts
        with self.prefix.with_suffix(".links").open("wb") as file:
            file.write(struct.pack(HEADER, MAGIC, VERSION, self.count, *self._owners))
            for part in (positions, entities, lengths):
                part.seek(0)
                while piece := part.read(PIECE):
                    file.write(piece)
        self.abandon()

    def abandon(self) -> None:
        """Close the files and remove the temporary ones; may be called again."""
        for file, name in zip(self._parts, Links._fields, strict=True):
            file.close()
            self.prefix.with_suffix(f".link-{name}.partial").unlink(missing_ok=True)


def _read(file: IO[bytes], dtype: str) -> NDArray[Any]:
    file.seek(0)
    return np.frombuffer(file.read(), dtype)
