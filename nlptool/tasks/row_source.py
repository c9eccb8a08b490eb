"""The rows that a model is asked about: files, standard input or texts, read as a stream."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Literal

from nlptool.errors import DataError, UsageError
from nlptool.tasks.config import TaskConfig, nested
from nlptool.text import row_formats, tabular
from nlptool.text.columns import sentences
from nlptool.text.readers import opened
from nlptool.text.row import Row
from nlptool.text.row_formats import Rows
from nlptool.text.sources import COMPRESSIONS, File

STDIN = "-"
RowFormat = Literal["jsonl", "csv", "tsv", "parquet", "lines", "conll"]
SUFFIXES: dict[str, RowFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "lines",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
}


@dataclass(frozen=True)
class InputRows:
    """Rows of a task without labels."""

    task: TaskConfig
    files: tuple[str, ...]
    """Paths; - is standard input."""
    format: RowFormat | None = None
    """None: that of a file's suffix, JSON lines on standard input."""
    columns: tuple[str, ...] = ()
    """Names of the columns of files of separated values that have no header."""
    mapped: Mapping[str, str] | None = None
    """The column of the files by the task's column, where they differ."""

    def read(self) -> Rows:
        """The rows, in bounded memory; one that cannot be read is a DataError in its stead."""
        for name in self.files:
            for row in self._file(name):
                if isinstance(row, DataError):
                    yield row
                else:
                    yield from self._asked(row)

    def _asked(self, row: Row) -> Rows:
        try:
            yield from self.task.flat(self._renamed(row))
        except DataError as error:
            yield error

    def _renamed(self, row: Row) -> Row:
        if not self.mapped:
            return row
        values = {column: row.get(there) for column, there in self.mapped.items()}
        return Row(row.place, row.values | nested(values.items()))

    def _file(self, name: str) -> Rows:
        if name == STDIN:
            piped: RowFormat = self.format or "jsonl"
            if piped == "parquet":
                raise UsageError("standard input cannot be read as Parquet", hint="name the file")
            with tabular.damage_told("stdin"):
                yield from self._stream("stdin", sys.stdin.buffer, piped)
            return
        path = Path(name)
        suffixes = [suffix.lower() for suffix in path.suffixes]
        compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
        suffix = suffixes[-1] if suffixes else ""
        told = self.format or SUFFIXES.get(suffix)
        if told is None:
            raise UsageError(
                f"{name}: the name does not tell its format",
                hint="say it with --format jsonl, csv, tsv, parquet, conll, or lines for a text a line",
            )
        if not path.is_file():
            raise UsageError(f"{name}: {'is a folder' if path.is_dir() else 'no such file'}")
        form: RowFormat = told
        file = File(path, "jsonl", compression, path.stat().st_size)
        with tabular.damage_told(name):
            if form == "parquet":
                yield from row_formats.parquet(name, path)
            elif suffix == ".json":
                yield from tabular.read_all([file])
            else:
                with opened(file) as (_, stream):
                    yield from self._stream(name, stream, form)

    def _stream(self, name: str, stream: IO[bytes], form: RowFormat) -> Rows:
        if form == "jsonl":
            return row_formats.jsonl(name, stream)
        if form == "lines":
            return self._of_texts(row_formats.text_lines(name, stream, text_columns(self.task)))
        if form == "conll":
            return (Row(place, dict(values)) for place, values in sentences(name, stream))
        return (row_formats.tsv if form == "tsv" else row_formats.csv_rows)(name, stream, self.columns)

    def _of_texts(self, rows: Rows) -> Rows:
        for row in rows:
            if isinstance(row, Row):
                yield Row(row.place, self.task.row_of(list(row.values.values())))
            else:
                yield row


def of_texts(task: TaskConfig, texts: Sequence[str]) -> Iterator[Row]:
    """One row, of texts that stand for its columns. Raises UsageError where these are not as many."""
    columns = text_columns(task)
    if len(texts) != len(columns):
        raise UsageError(
            f"{len(texts)} texts, but a row has {', '.join(columns)}",
            hint="give a --text for each, in this order",
        )
    return chain([Row("--text", task.row_of(texts))])


def text_columns(task: TaskConfig) -> tuple[str, ...]:
    """As TaskConfig.text_columns. Raises UsageError where a row is more than texts."""
    if not task.text_columns:
        raise UsageError(
            "a row of this task is more than texts", hint="give rows in a file, such as JSON lines"
        )
    return task.text_columns
