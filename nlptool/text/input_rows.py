"""Rows that a trained model is asked about: files of rows, plain lines, or standard input; in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from nlptool.errors import DataError, UsageError
from nlptool.manifests import os_error_text
from nlptool.text import tabular
from nlptool.text.corpus import BROKEN
from nlptool.text.lines import lines
from nlptool.text.readers import opened
from nlptool.text.records import BadRecord
from nlptool.text.sources import COMPRESSIONS, File
from nlptool.text.tabular import Row

STDIN = "-"
DEVICE = Path("/dev/stdin")
TEXT = "text"
"""The column of a plain line."""
InputFormat = Literal["lines", "jsonl", "csv"]


def read(name: str, standard_input: InputFormat = "lines") -> Iterator[Row]:
    """The rows of a file: JSON lines, CSV, TSV or Parquet by its suffix, otherwise plain lines in the column `text`.

    name: a path, or `-`, whose format is `standard_input`. A blank line is an empty text, so that rows stay aligned.
    Raises UsageError for no such file, DataError with file and line for what cannot be read.
    """
    if name == STDIN:
        file = File(DEVICE, "text" if standard_input == "lines" else standard_input, "", 0)
        plain = standard_input == "lines"
    else:
        file, plain = _file(Path(name))
    return _lines(file) if plain else tabular.read([file])


def _file(path: Path) -> tuple[File, bool]:
    """A file, and whether it holds plain lines."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "no such file"
        raise UsageError(f"{path}: {what}", hint="name a file of rows or lines; - is standard input")
    if found := tabular.of_rows(path):
        return found, False
    suffix = path.suffix.lower()
    return File(path, "text", suffix if suffix in COMPRESSIONS else "", path.stat().st_size), True


def _lines(file: File) -> Iterator[Row]:
    try:
        with opened(file) as (_, stream):
            for number, line in enumerate(lines(stream), start=1):
                place = f"{file.path}:{number}"
                if isinstance(line, BadRecord):
                    raise DataError(f"{place}: {line.detail}", hint=line.hint)
                yield Row(place, {TEXT: line.removesuffix("\n").removesuffix("\r")})
    except BROKEN as error:
        raise DataError(f"{file.path}: cannot be read ({os_error_text(error)})") from error
