"""Input rows of inference commands: a file or standard input, in any format, as a stream."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Literal

from nlptool.errors import UsageError
from nlptool.text import row_formats, tabular
from nlptool.text.columns import sentences
from nlptool.text.lines import RECORD
from nlptool.text.readers import opened
from nlptool.text.row import Row
from nlptool.text.row_formats import Rows
from nlptool.text.sources import COMPRESSIONS, File

STDIN = "-"
TEXT = "text"
"""The column of a plain line."""
RowFormat = Literal["jsonl", "csv", "tsv", "parquet", "lines", "conll"]
OBJECT = re.compile(r'\{\s*["}]')
ARRAY = re.compile(r"\[\s*\{")
SUFFIXES: dict[str, RowFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "parquet",
    ".txt": "lines",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
}


def format_of(
    name: str, given: RowFormat | None = None, default: RowFormat | None = None, texts: Sequence[str] = ()
) -> RowFormat:
    """The format of a file: as given, else by its suffix, else `default`; for `-` as given, else by the first line.

    texts: column names by which the first line of standard input, or of a plain text file, is recognised as a
    header. Raises UsageError for a missing file, and for a name without a known suffix if there is no default.
    """
    if name == STDIN:
        if (piped := given or _piped(texts)) == "parquet":
            raise UsageError("standard input cannot be read as Parquet", hint="name the file")
        return piped
    path = Path(name)
    if not path.is_file():
        what = (
            "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "no such file"
        )
        text = "; give a text with --text" if " " in name else ""
        raise UsageError(f"{name}: {what}", hint=f"name a file of rows or lines; - is standard input{text}")
    found = given or SUFFIXES.get(_suffixes(path)[0]) or default
    if found == "lines" and not given and texts:
        file = File(path, "text", _suffixes(path)[1], path.stat().st_size)
        with tabular.damage_reported(name), opened(file) as (_, stream):
            found = _below_header(stream.readline(RECORD).decode("utf8", "replace"), texts) or found
    if found is None:
        raise UsageError(
            f"{name}: its name does not show the format",
            hint="give it with --format jsonl, csv, tsv, parquet, conll, or lines for a text a line",
        )
    return found


def _piped(texts: Sequence[str]) -> RowFormat:
    """JSON if standard input begins with an object or an array of them; separated values if it begins with a header;
    else a text on each line.
    """
    begin = _begin()
    if begin is None or OBJECT.match(begin) or ARRAY.match(begin):
        return "jsonl"
    return _below_header(begin, texts) or "lines"


def _below_header(begin: str, texts: Sequence[str]) -> RowFormat | None:
    """The format of separated values whose first line names these columns among others; None where it does not."""
    header = begin.removeprefix("\ufeff").partition("\n")[0].rstrip("\r")
    separated: Sequence[tuple[RowFormat, str]] = (("tsv", "\t"), ("csv", ","), ("csv", ";"))
    for form, separator in separated:
        names = [name.strip('"') for name in header.split(separator)]
        # In a sentence, white space or nothing comes after a comma; pandas leaves the first name out.
        sentence = separator != "\t" and any(not name or name[0].isspace() for name in names[1:])
        if len(names) > 1 and texts and set(texts) <= set(names) and not sentence:
            return form
    return None


def _begin() -> str | None:
    """The beginning of standard input, which is not consumed; None where it cannot be inspected."""
    peek = getattr(_stdin(), "peek", None)
    return None if peek is None else peek(1).decode("utf8", "replace").lstrip("\ufeff \t\r\n")


def _stdin() -> IO[bytes]:
    """Standard input. Raises UsageError where it is closed, as by `<&-`."""
    if sys.stdin is None:
        raise UsageError("standard input is closed", hint="pipe rows into the command, or name a file")
    return sys.stdin.buffer


def read(
    name: str,
    given: RowFormat | None = None,
    *,
    default: RowFormat | None = None,
    columns: Sequence[str] = (),
    texts: Sequence[str] = (TEXT,),
) -> Rows:
    """The rows of a file in bounded memory; an unreadable row is replaced by a DataError.

    name, given, default: as in format_of, which is called at once. columns: names of the columns of separated values
    without a header. texts: the columns of a plain line, separated by tabs if there are several; a blank line is an
    empty text, so that rows stay aligned. Raises DataError for a truncated file.
    """
    return _rows(name, format_of(name, given, default, texts), columns, texts)


def _rows(name: str, form: RowFormat, columns: Sequence[str], texts: Sequence[str]) -> Rows:
    if name == STDIN:
        with tabular.damage_reported("stdin"):
            if form == "jsonl" and ARRAY.match(_begin() or ""):
                yield from row_formats.json_value("stdin", _stdin())
            else:
                yield from _stream("stdin", _stdin(), form, columns, texts)
        return
    path = Path(name)
    suffix, compression = _suffixes(path)
    file = File(path, "jsonl", compression, path.stat().st_size)
    with tabular.damage_reported(name):
        if form == "parquet":
            yield from row_formats.table(name, path)
        elif suffix == ".json" and form == "jsonl":
            yield from tabular.read_all([file])
        else:
            with opened(file) as (_, stream):
                yield from _stream(name, stream, form, columns, texts)


def _suffixes(path: Path) -> tuple[str, str]:
    """The suffixes of the format and of the compression; empty if absent."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    return (suffixes[-1] if suffixes else ""), compression


def _stream(
    name: str, stream: IO[bytes], form: RowFormat, columns: Sequence[str], texts: Sequence[str]
) -> Rows:
    if form == "jsonl":
        return row_formats.jsonl(name, stream)
    if form == "lines":
        return row_formats.text_lines(name, stream, texts)
    if form == "conll":
        return (Row(place, dict(values)) for place, values in sentences(name, stream))
    return (row_formats.tsv if form == "tsv" else row_formats.csv_rows)(name, stream, columns)
