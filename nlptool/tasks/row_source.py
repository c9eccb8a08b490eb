"""Input rows of predictions: files, standard input or texts, read as a stream."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nlptool.errors import DataError, UsageError
from nlptool.formatting import counted
from nlptool.tasks.config import TaskConfig, nested
from nlptool.tasks.row_files import renamed
from nlptool.text import input_rows, tabular
from nlptool.text.input_rows import RowFormat
from nlptool.text.row import Row
from nlptool.text.row_formats import Rows


@dataclass(frozen=True)
class InputRows:
    """Rows of a task without labels."""

    task: TaskConfig
    files: tuple[str, ...]
    """Paths; - is standard input."""
    format: RowFormat | None = None
    """None: by a file's suffix; for standard input, by its first line."""
    columns: tuple[str, ...] = ()
    """Names of the columns of separated values without a header."""
    mapped: Mapping[str, str] | None = None
    """The column in the files by the task's column, where they differ."""

    def read(self) -> Rows:
        """The rows, in bounded memory; an invalid row is replaced by a DataError."""
        for name in self.files:
            for row in self._file(name):
                if isinstance(row, DataError):
                    yield row
                else:
                    yield from self._unlabelled(row)

    def _unlabelled(self, row: Row) -> Rows:
        try:
            yield from self.task.flat(self._renamed(row))
        except DataError as error:
            yield error

    def _renamed(self, row: Row) -> Row:
        read = {column.partition(".")[0] for column in self.task.text_columns}
        row = renamed(
            row, {name: new for name, new in self.task.rename_columns.items() if new in read or not read}
        )
        if not self.mapped:
            return row
        values = {column: row.get(there) for column, there in self.mapped.items()}
        return Row(row.place, row.values | nested(values.items()))

    def _file(self, name: str) -> Rows:
        named = [(self.mapped or {}).get(column, column) for column in self.task.text_columns]
        given = self.format
        if given is None and self.task.conll and name != input_rows.STDIN and tabular.in_columns(Path(name)):
            given = "conll"
        form = input_rows.format_of(name, given, texts=named)
        if form == "lines" and given is None and self.columns:
            form = "tsv"  # tables called .txt have tabs
        if self.columns and form not in ("csv", "tsv"):
            raise UsageError(
                f"--columns: {name} is read as {form}, which needs no names of columns",
                hint="leave --columns out, or name a format that has columns: --format tsv, --format csv",
            )
        plain = form == "lines"
        texts = text_columns(self.task) if plain else ()
        for row in input_rows.read(name, form, columns=self.columns, texts=texts):
            if plain and isinstance(row, Row):
                yield Row(row.place, self.task.row_of(list(row.values.values())))
            else:
                yield row


def of_texts(task: TaskConfig, texts: Sequence[str], *, one_row: bool = False) -> Iterator[Row]:
    """A row for each text; if rows have several texts, or with `one_row`, one row of all, in the order of its
    columns.

    Raises UsageError where the numbers of texts and columns differ.
    """
    columns = text_columns(task)
    if len(columns) == 1 and not one_row:
        places = [f"--text {number}" for number, _ in enumerate(texts, 1)] if len(texts) > 1 else ["--text"]
        return (Row(place, task.row_of([text])) for place, text in zip(places, texts, strict=True))
    if len(texts) != len(columns):
        raise UsageError(
            f"{counted(len(texts), 'texts')}, but a row has {', '.join(columns)}",
            hint="give a --text for each, in this order; several rows come in a file, or by standard input: -",
        )
    return iter([Row("--text", task.row_of(texts))])


def text_columns(task: TaskConfig) -> tuple[str, ...]:
    """As TaskConfig.text_columns. Raises UsageError where a row has more than texts."""
    if not task.text_columns:
        raise UsageError(
            "a row of this task is more than texts", hint="give rows in a file, such as JSON lines"
        )
    return task.text_columns
