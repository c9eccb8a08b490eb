"""Parquet files, and Arrow files saved by `datasets`, read batch by batch, with the class names of their columns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

BATCH = 256
"""Rows held at once."""
PARQUET, ARROW_FILE = b"PAR1", b"ARROW1"
"""First bytes of files; an Arrow stream, which `datasets` writes, has none."""
FEATURES = b"huggingface"
"""Schema metadata of `datasets` on columns."""


def read(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows. columns: those to read. Raises OSError for a damaged file."""
    with _broken_is_os_error(), _open(path) as table:
        for batch in _batches(table, columns):
            for start in range(0, batch.num_rows, BATCH):
                yield from batch.slice(start, BATCH).to_pylist()


def column_names(path: Path) -> list[str]:
    """The names of the columns. Raises OSError for a damaged file."""
    with _broken_is_os_error(), _open(path) as table:
        return list(_schema(table).names)


def class_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Class names by column, where `datasets` has recorded them (ClassLabel). Raises OSError as `read`."""
    with _broken_is_os_error(), _open(path) as table:
        noted = (_schema(table).metadata or {}).get(FEATURES, b"{}")
    try:
        features = json.loads(noted)["info"]["features"]
        return {name: names for name, one in features.items() if (names := _names(one))}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _names(feature: Any) -> tuple[str, ...]:
    """The class names of a feature of classes, or of a list of such."""
    while (
        isinstance(feature, list) and len(feature) == 1
    ):  # a list of classes, as `datasets` wrote it before version 4
        feature = feature[0]
    while isinstance(feature, Mapping) and isinstance(feature.get("feature"), Mapping):
        feature = feature["feature"]
    names = feature.get("names") if isinstance(feature, Mapping) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    import pyarrow.parquet

    with path.open("rb") as file:
        begin = file.read(len(ARROW_FILE))
    if begin.startswith(PARQUET) or path.suffix == ".parquet":
        with pyarrow.parquet.ParquetFile(path) as table:
            yield table
    else:
        with pyarrow.memory_map(str(path)) as file:
            reader = pyarrow.ipc.open_file if begin == ARROW_FILE else pyarrow.ipc.open_stream
            with reader(file) as table:
                yield table


def _schema(table: Any) -> "pyarrow.Schema":
    return table.schema_arrow if hasattr(table, "schema_arrow") else table.schema


def _batches(table: Any, columns: Sequence[str] | None) -> Iterator["pyarrow.RecordBatch"]:
    if hasattr(table, "iter_batches"):  # Parquet
        yield from table.iter_batches(batch_size=BATCH, columns=columns)
        return
    found = map(table.get_batch, range(table.num_record_batches)) if hasattr(table, "get_batch") else table
    names = table.schema.names
    if columns is not None:  # a.b lies in a, which is read as a whole
        names = list(dict.fromkeys(name if name in names else name.partition(".")[0] for name in columns))
    for batch in found:
        yield batch.select(names)


@contextmanager
def _broken_is_os_error() -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise OSError(str(error)) from error
