"""Files of text embeddings: Parquet, or numpy's .npy, written row by row and atomically."""

# N rows, D width

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nlptool.atomic_files import replacing
from nlptool.errors import DataError

FORMATS = (".parquet", ".npy")
GROUP = 4096  # smallest row group of a Parquet file, except the last


class VectorWriter(Protocol):
    """A file of embeddings that grows."""

    def add(self, texts: Sequence[str], vectors_ND: NDArray[np.float32]) -> None:
        """Append rows."""


@contextmanager
def writing(path: Path, width: int) -> Iterator[VectorWriter]:
    """A file that is renamed to `path` when the block succeeds; its suffix, one of FORMATS, decides the format.

    Parquet has the columns `text` and `embedding`, a list of `width` 32-bit floats; .npy is one array [N, D], which
    numpy.load(path, mmap_mode="r") opens without reading it.
    """
    with replacing(path, "wb") as file:
        if path.suffix == ".npy":
            array = _Npy(file, width)
            yield array
            array.finish()
        else:
            table = _Parquet(file, width)
            yield table
            table.finish()


class _Npy:
    """An array whose number of rows is known at the end; numpy leaves room for it in the header."""

    def __init__(self, file: IO[bytes], width: int) -> None:
        self.file, self.width, self.rows = file, width, 0
        self._header()
        self._begins = file.tell()

    def add(self, texts: Sequence[str], vectors_ND: NDArray[np.float32]) -> None:
        self.file.write(np.ascontiguousarray(vectors_ND, "<f4").tobytes())
        self.rows += len(vectors_ND)

    def finish(self) -> None:
        self.file.seek(0)
        self._header()
        if self.file.tell() != self._begins:
            raise DataError(f"{self.rows:,} rows do not fit into the header", hint="write .parquet")
        self.file.seek(0, 2)

    def _header(self) -> None:
        facts = {"descr": "<f4", "fortran_order": False, "shape": (self.rows, self.width)}
        np.lib.format.write_array_header_1_0(self.file, facts)


class _Parquet:
    def __init__(self, file: IO[bytes], width: int) -> None:
        import pyarrow
        import pyarrow.parquet

        self.arrow: Any = pyarrow
        self.type = pyarrow.list_(pyarrow.float32(), width)
        self.schema = pyarrow.schema([("text", pyarrow.string()), ("embedding", self.type)])
        self.writer = pyarrow.parquet.ParquetWriter(file, self.schema)
        self.held: list[Any] = []

    def add(self, texts: Sequence[str], vectors_ND: NDArray[np.float32]) -> None:
        flat = self.arrow.array(np.ascontiguousarray(vectors_ND).reshape(-1))
        vectors = self.arrow.FixedSizeListArray.from_arrays(flat, type=self.type)
        columns = [self.arrow.array(list(texts), self.arrow.string()), vectors]
        self.held.append(self.arrow.Table.from_arrays(columns, schema=self.schema))
        if sum(len(table) for table in self.held) >= GROUP:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self.writer.close()

    def _flush(self) -> None:
        if self.held:
            self.writer.write_table(self.arrow.concat_tables(self.held))
            self.held = []
