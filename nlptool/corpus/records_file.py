"""Files of documents: JSON lines compressed with zstd, or Parquet. Equal documents give equal bytes."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nlptool.errors import DataError

LEVEL = 3
BLOCK = 1 << 20  # characters passed to the compressor at a time
ROWS = 1000  # rows of a row group of Parquet


class JsonLines:
    """Writes records into a new file of JSON lines."""

    def __init__(self, path: Path) -> None:
        import pyarrow

        self._stream = pyarrow.CompressedOutputStream(str(path), "zstd")
        self._held: list[str] = []
        self._size = 0

    def write(self, record: dict[str, Any]) -> None:
        """Append a record."""
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        self._held.append(line)
        self._size += len(line)
        if self._size >= BLOCK:
            self._flush()

    def close(self) -> None:
        """Close the file."""
        self._flush()
        self._stream.close()

    def _flush(self) -> None:
        if self._held:
            self._stream.write(("\n".join(self._held) + "\n").encode("utf8", "surrogatepass"))
        self._held, self._size = [], 0


class Parquet:
    """Writes records into a new Parquet file with the columns `columns`; missing values are null."""

    def __init__(self, path: Path, columns: dict[str, str]) -> None:
        import pyarrow
        import pyarrow.parquet

        self._schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in columns.items()])
        self._table = pyarrow.Table
        self._writer = pyarrow.parquet.ParquetWriter(
            path, self._schema, compression="zstd", compression_level=LEVEL
        )
        self._held: list[dict[str, Any]] = []

    def write(self, record: dict[str, Any]) -> None:
        """Append a record."""
        self._held.append(record)
        if len(self._held) >= ROWS:
            self._flush()

    def close(self) -> None:
        """Close the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(self._table.from_pylist(self._held, schema=self._schema))
        self._held = []


@contextmanager
def opened(path: Path, columns: dict[str, str] | None = None) -> Iterator[JsonLines | Parquet]:
    """A new file of records, JSON lines unless `columns` are given."""
    writer = JsonLines(path) if columns is None else Parquet(path, columns)
    try:
        yield writer
    finally:
        writer.close()


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """A new file of JSON lines."""
    with opened(path) as writer:
        for record in records:
            writer.write(record)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines. Raises DataError where it is damaged."""
    import pyarrow

    remedy = "remove the file's folder and run the command again with --resume auto"
    try:
        with pyarrow.input_stream(str(path), compression="zstd", buffer_size=1 << 16) as stream:
            rest = b""
            while block := stream.read(BLOCK):
                *lines, rest = (rest + block).split(b"\n")
                yield from map(json.loads, lines)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: has been changed or damaged: {str(error).splitlines()[0]}", hint=remedy
        ) from error


def read_any(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of either format; in Parquet, null for missing values."""
    if path.suffix != ".parquet":
        yield from read(path)
        return
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS):
            yield from batch.to_pylist()
