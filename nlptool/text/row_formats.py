"""Streams to rows, a reader for each format. An unreadable row is replaced by a DataError with its place.

So the caller decides whether to stop or to continue with the next row. A fault of the whole file is raised.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.text import arrow_tables
from nlptool.text.lines import RECORD, lines
from nlptool.text.records import BadRecord
from nlptool.text.row import Row

Rows = Iterator[Row | DataError]


def jsonl(name: str, stream: IO[bytes]) -> Rows:
    """One object a line; blank lines are skipped."""
    for number, line in enumerate(lines(stream), start=1):
        if isinstance(line, str) and line.isspace():
            continue
        yield _object(f"{name}:{number}", line)


def _object(place: str, line: str | BadRecord) -> Row | DataError:
    if isinstance(line, BadRecord):
        return _unreadable(place, line)
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        return DataError(
            f"{place}: broken JSON ({error}); one object a line is expected",
            hint="jq -c . FILE writes objects a line each" if line.strip() == "{" else None,
        )
    if not isinstance(values, dict):
        return DataError(
            f"{place}: expected an object with the columns as keys",
            hint="jq -c '.[]' FILE makes lines of an array",
        )
    half = _half_character(place, values) if "\\ud" in line or "\\uD" in line else None
    return half or Row(place, values)


def json_value(name: str, stream: IO[bytes]) -> Rows:
    """One value: an object is a row, and so is each object of an array. It is read into memory as a whole."""
    try:
        value = json.load(stream)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: broken JSON ({error})") from None
    for number, values in enumerate(value if isinstance(value, list) else [value]):
        place = f"{name}: [{number}]" if isinstance(value, list) else name
        if not isinstance(values, dict):
            yield DataError(f"{place}: expected an object with the columns as keys")
        else:
            yield _half_character(place, values) or Row(place, values)


def _half_character(place: str, values: dict[str, Any]) -> DataError | None:
    """The message about half a character, which JSON escapes can write and no tokenizer reads."""
    try:
        json.dumps(values, ensure_ascii=False).encode("utf8")
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        return DataError(
            f"{place}: \\u{ord(half):04x} is half of a character, without its other half",
            hint="fix or remove the row; the text was cut within an emoji or a rare character",
        )
    return None


def tsv(name: str, stream: IO[bytes], columns: Sequence[str] = ()) -> Rows:
    """Tab-separated values; quotation marks are ordinary characters, as in GLUE's files.

    columns: names of the columns of a file without a header; a first line with one of these names is a header.
    """
    header = list(columns)
    for number, line in enumerate(lines(stream), start=1):
        place = f"{name}:{number}"
        if isinstance(line, BadRecord):
            if not header:
                raise _unreadable(place, line)
            yield _unreadable(place, line)
            continue
        values = line.removesuffix("\n").removesuffix("\r").split("\t")
        if not header or (number == 1 and names_columns(values, columns)):
            header = _header(place, values)
        elif values != [""]:
            yield _named(place, header, values)


def csv_rows(name: str, stream: IO[bytes], columns: Sequence[str] = ()) -> Rows:
    """Comma-separated values; quoted values may hold commas and line ends.

    If the first line has no comma, but semicolons or tabs, these are the separators: spreadsheets write semicolons
    where numbers have a decimal comma. columns: names of the columns of a file without a header; a first line with
    one of these names is a header.
    """
    csv.field_size_limit(RECORD)
    seen, bad = 0, list[DataError]()

    def texts() -> Iterator[str]:
        for at, line in enumerate(lines(stream), start=1):
            if isinstance(line, BadRecord):
                bad.append(_unreadable(f"{name}:{at}", line))
                continue
            yield line

    source, header = texts(), list(columns)
    begin = list(islice(source, 1))
    separator = _separator("".join(begin), len(columns))
    rows = csv.reader(chain(begin, source), strict=True, delimiter=separator)
    while True:
        number = rows.line_num + len(bad) + 1
        try:
            values = next(rows, None)
        except csv.Error as error:
            broken = DataError(f"{name}:{number}: broken CSV ({error})", hint="check the quotation marks")
            if not header:
                raise broken from None
            yield broken
            continue
        yield from bad[seen:]
        seen = len(bad)
        if values is None:
            return
        if not header or (number == 1 and names_columns(values, columns)):
            header = _header(f"{name}:{number}", values)
        elif values:
            yield _named(f"{name}:{number}", header, values)


def _separator(line: str, columns: int) -> str:
    """The separator, judged by a file's first line. columns: their number; 0: the line is a header."""
    if "," not in line:
        for other in ("\t", ";"):
            if other in line and columns in (0, line.count(other) + 1):
                return other
    return ","


def names_columns(values: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether a first line is a header, if column names were given."""
    return any(value in columns for value in values)


def table(name: str, path: Path) -> Rows:
    """A Parquet or Arrow file; rows are numbered from 1. Raises OSError for a damaged file."""
    return (Row(f"{name}:{row}", values) for row, values in enumerate(arrow_tables.read(path), start=1))


def text_lines(name: str, stream: IO[bytes], columns: Sequence[str]) -> Rows:
    """A text on each line; several columns are separated by tabs."""
    for number, line in enumerate(lines(stream), start=1):
        place = f"{name}:{number}"
        if isinstance(line, BadRecord):
            yield _unreadable(place, line)
            continue
        text = line.removesuffix("\n").removesuffix("\r")
        values = text.split("\t") if len(columns) > 1 else [text]
        if len(values) != len(columns):
            yield DataError(
                f"{place}: {counted(len(values), 'texts')}, but {', '.join(columns)} are expected",
                hint="tabs separate the texts of a row",
            )
        else:
            yield Row(place, dict(zip(columns, values, strict=True)))


def _header(place: str, names: list[str]) -> list[str]:
    if twice := [name for at, name in enumerate(names) if name and name in names[:at]]:
        raise DataError(f"{place}: the header names '{twice[0]}' twice", hint="rename one of the columns")
    return names


def _named(place: str, header: list[str], values: list[str]) -> Row | DataError:
    if len(values) != len(header):
        return DataError(
            f"{place}: {counted(len(values), 'values')}, but the header names {len(header)}",
            hint="check the separator: .tsv is read with tabs and without quoting, .csv with commas; a file without a "
            "header needs columns: [NAME, NAME]",
        )
    return Row(place, dict(zip(header, values, strict=True)))


def _unreadable(place: str, found: BadRecord) -> DataError:
    return DataError(f"{place}: {found.detail}", hint=found.hint)
