"""Rows of named values from files and hub data sets: the input of labelled tasks.

A split is a file named after it, `train.jsonl`, `validation.tsv.gz`, or several, `train-00000-of-00002.parquet`, or
a folder saved by `datasets`. Every fault is reported with its file and line (parquet and hub: row), counted from 1.
A .json file may also hold one value over several lines, such as SQuAD's.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Literal, NamedTuple

from nlptool.errors import DataError
from nlptool.manifests import os_error_text
from nlptool.text import arrow_tables, row_formats
from nlptool.text.columns import COMMENTS, DOCUMENT, SPLITS, SUFFIXES, sentences
from nlptool.text.corpus import BROKEN
from nlptool.text.hub import dataset, unreadable
from nlptool.text.lines import RECORD, lines
from nlptool.text.readers import opened
from nlptool.text.row import SHOWN, Row, is_hidden, whole
from nlptool.text.row_formats import Rows
from nlptool.text.sources import COMPRESSIONS, FORMATS, File, Format, saved_tables

__all__ = [
    "Example",
    "Question",
    "Row",
    "Sentence",
    "damage_reported",
    "files",
    "has_rows",
    "hub",
    "is_hidden",
    "listing",
    "of_rows",
    "read",
    "read_all",
    "whole",
]

FILES_KEY = "task.source.files={train: FILE, validation: FILE}"
TSV, TEXT = ".tsv", ".txt"
LOOK = 1000
"""Number of lines by which a file is recognised as a table or as columns."""
LONG = 8
"""Characters on average from which values without white space are texts rather than words."""
VALIDATION = "validation"
WORDS = re.compile(r"[\W_]+")
SPLIT_NAMES = {
    "train": "train",
    **dict.fromkeys((VALIDATION, "dev", "valid", "val", "testa"), VALIDATION),
    **dict.fromkeys(("test", "testb"), "test"),
}
"""The words that name splits in the names of files."""


class Example(NamedTuple):
    """A row as input of a task."""

    place: str
    inputs: tuple[tuple[str, ...], ...]
    """The model's inputs: a text or a pair; for several choices, one for each."""
    label: tuple[float, ...]
    """The label as numbers; NaN: hidden."""


class Question(NamedTuple):
    """A question whose answer is a span of a text."""

    place: str
    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...] | None
    """Each with its first character in the context; empty: unanswerable; None: hidden."""


class Sentence(NamedTuple):
    """Words, or characters of a text, with their tags."""

    place: str
    tokens: tuple[str, ...]
    tags: tuple[int, ...] | None
    """None: hidden."""
    between: str
    """Separator between two of them in a text."""

    def text(self, start: int, end: int) -> str:
        """The text of some of its tokens."""
        return self.between.join(self.tokens[start:end])


def files(folder: Path, split: str, *, columns: bool = False) -> list[File]:
    """The files of a split in a folder, sorted; empty if there is no such split.

    Raises DataError for a missing folder, and for a split in several forms.

    columns: also files in CoNLL's columns, if there are no others.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder", hint=f"name one that holds the task's files, such as {split}.jsonl"
        )
    paths = [
        path
        for path in sorted(folder.iterdir())
        if (stem := path.name.partition(".")[0]) == split or stem.startswith(f"{split}-")
    ]
    found = [file for path in paths if (file := of_rows(path)) is not None]
    found = found or [file for path in saved_tables(folder / split) if (file := of_rows(path)) is not None]
    if columns and not found:
        found = [file for path in paths if (file := of_rows(path, columns=True)) is not None]
    if len(found) > 1 and any(file.path.name.startswith(f"{split}.") for file in found):
        raise DataError(
            f"{folder}: {len(found)} files for the split {split}: {', '.join(f.path.name for f in found)}",
            hint="keep one of them",
        )
    return found


def of_split(folder: Path, split: str, *, columns: bool = False, name: str | None = None) -> list[File]:
    """Like `files`, but validation files may also be called dev, valid or val, as in GLUE's own folders, and the
    name of a split may be one word of a file's name. name: of the data set, which decides among several such files, as
    nli in KLUE's. Raises DataError for a missing folder, and for several files.
    """
    rest = split.removeprefix(VALIDATION)
    others = [word for word, means in SPLIT_NAMES.items() if means == VALIDATION] if rest != split else []
    for called in (split, *(f"{other}{rest}" for other in others)):
        if found := files(folder, called, columns=columns):
            return found
    return _by_word(folder, split, columns, name)


def _by_word(folder: Path, split: str, columns: bool, name: str | None) -> list[File]:
    """The file with the split as one word of its name, as ratings_train.txt and sts-dev.tsv; none without one.

    A hidden file, and a name with the words of several splits, are ignored. Raises DataError for several files, except
    test files, of which there are then none.
    """
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        named = {SPLIT_NAMES[word] for word in WORDS.split(path.name.lower()) if word in SPLIT_NAMES}
        if named == {split} and path.name[0] != "." and (file := of_rows(path, columns=columns)) is not None:
            found.append(file)
    if len(found) > 1 and name is not None:
        found = [file for file in found if name in WORDS.split(file.path.name.lower())] or found
    if len(found) > 1 and split != "test":
        raise DataError(
            f"{folder}: {len(found)} files may be the split {split}: {', '.join(f.path.name for f in found)}",
            hint=f"keep one of them; finetune also takes the files by name: {FILES_KEY}",
        )
    return found if len(found) == 1 else []


def listing(folder: Path) -> str:
    """The first names in a folder, for the message about a missing file."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return (", ".join(names[:SHOWN]) + (", ..." if names[SHOWN:] else "")) or "nothing"


def of_rows(path: Path, *, columns: bool = False) -> File | None:
    """A file of rows by its suffixes; None for any other, and for a folder. columns: also one in CoNLL's columns."""
    found = _of(path, FORMATS)
    if found is None:
        table = _of(path, {TEXT: "csv"})
        found = table if table is not None and _layout(table) == "table" else None
    elif columns and path.is_file() and TSV in path.suffixes and _layout(found) == "columns":
        return found._replace(format="text")
    return _of(path, dict.fromkeys((*SUFFIXES, *SPLITS), "text")) if found is None and columns else found


def in_columns(path: Path) -> bool:
    """Whether a file is in CoNLL's columns; a .txt only by its lines, since it may hold a sentence per line."""
    file = of_rows(path, columns=True)
    return (
        file is not None
        and file.format == "text"
        and (TEXT not in path.suffixes or _layout(file) == "columns")
    )


def _layout(file: File) -> Literal["table", "columns"] | None:
    """What the first lines of a file are: rows of a table with tabs, without an empty line, where a value is several
    words, or each value of a column a long one; or words with their tags, with an empty line behind each sentence.
    None: undecided.
    """
    with damage_reported(str(file.path)), opened(file) as (_, stream):
        found = list(islice(lines(stream), LOOK))
    if found and not isinstance(found[0], str):
        return "table"  # whose reader tells what it is
    begin = [line for line in found if isinstance(line, str)]
    texts = [line.rstrip("\r\n") for line in begin]
    while texts and not texts[-1]:
        texts.pop()
    rows = [text for text in texts if text and text[0] not in COMMENTS and not text.startswith(DOCUMENT)]
    tabs = {text.count("\t") for text in rows}
    if tabs == {0}:
        widths = {len(text.split()) for text in rows}
        return "columns" if "" in texts and len(widths) == 1 and min(widths) > 1 else None
    if len(tabs) != 1:
        return None
    spaced = any(" " in value.strip() for text in rows for value in text.split("\t"))
    if "" in texts:
        return None if spaced else "columns"
    return "table" if spaced or _has_texts(rows) else None


def _has_texts(rows: Sequence[str]) -> bool:
    """Whether a column has different values on all lines, longer than words, as texts in Chinese have no spaces."""
    columns = zip(*(row.split("\t") for row in rows[1:]), strict=True)  # without a header
    return any(
        len(set(values)) == len(values) > 1 and sum(map(len, values)) >= LONG * len(values)
        for values in columns
    )


def has_rows(name: str, *, columns: bool = False) -> bool:
    """Whether a name has the suffix of a file of rows. columns: also of CoNLL's columns."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes if suffix.lower() not in COMPRESSIONS]
    return bool(suffixes) and (suffixes[-1] in FORMATS or (columns and suffixes[-1] in (*SUFFIXES, *SPLITS)))


def _of(path: Path, formats: Mapping[str, Format]) -> File | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    kind = formats.get(suffixes[-1] if suffixes else "")
    return File(path, kind, compression, path.stat().st_size) if kind is not None and path.is_file() else None


def read(found: list[File], columns: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of files, in bounded memory. Raises DataError for an unreadable row.

    columns: as in read_all.
    """
    for row in read_all(found, columns):
        if isinstance(row, DataError):
            raise row
        yield row


def read_all(found: list[File], columns: Sequence[str] = ()) -> Rows:
    """Like `read`, but an unreadable row is replaced by a DataError.

    columns: names of the columns of files of separated values that have no header.
    Raises DataError for a file that is damaged.
    """
    for file in found:
        name = str(file.path)
        with damage_reported(name):
            if file.format == "parquet":
                yield from row_formats.table(name, file.path)
                continue
            with opened(file) as (_, stream):
                yield from _stream(name, stream, file, columns)


def _stream(name: str, stream: IO[bytes], file: File, columns: Sequence[str]) -> Rows:
    if file.format == "jsonl":
        return (row_formats.json_value if _is_one_value(file) else row_formats.jsonl)(name, stream)
    if file.format == "text":
        return (Row(place, dict(values)) for place, values in sentences(name, stream))
    tabs = {TSV, TEXT} & {suffix.lower() for suffix in file.path.suffixes}
    separated = row_formats.tsv if tabs else row_formats.csv_rows
    return separated(name, stream, columns)


def class_names(file: File) -> dict[str, tuple[str, ...]]:
    """Class names of a file, by column: of Parquet and Arrow, if `datasets` wrote it.

    Names that are numbers are left out, since rows may mean the names or the indices. Raises DataError for a damaged
    file.
    """
    if file.format != "parquet":
        return {}
    with damage_reported(str(file.path)):
        found = arrow_tables.class_names(file.path)
    return {key: names for key, names in found.items() if not any(map(str.isdecimal, names))}


@contextmanager
def damage_reported(name: str) -> Iterator[None]:
    """Turn the errors of readers and decompressors for a damaged file into a DataError."""
    try:
        yield
    except BROKEN as error:
        raise DataError(
            f"{name}: the file breaks off or is damaged ({os_error_text(error)})",
            hint="fetch or write it anew",
        ) from error


def _is_one_value(file: File) -> bool:
    """Whether a .json file is one value over several lines, or an array, rather than an object a line."""
    if ".json" not in file.path.suffixes:
        return False
    with opened(file) as (_, stream):
        first = stream.readline(RECORD).strip()
    if first.startswith(b"["):
        return True
    try:
        json.loads(first)
    except ValueError:
        return first in (b"", b"{") or (first.startswith(b"{") and not first.endswith(b"}"))
    return False


def hub(name: str, subset: str | None, split: str) -> Iterator[Row]:
    """The rows of a split of a data set on the Hugging Face hub."""
    try:
        rows = dataset(name, subset, split)
    except Exception as error:  # of a dozen types, from the network, the library or the data set
        hint = "check the network; or name a folder with the task's files: data=FOLDER"
        raise unreadable(name, error, hint) from error
    for number, values in enumerate(rows, start=1):
        yield Row(f"{name}/{split}:{number}", values)
