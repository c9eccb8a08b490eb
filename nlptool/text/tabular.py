"""Files and hub data sets to rows of named values: what a labelled task is read from.

A split is a file named after it, `train.jsonl`, `validation.tsv.gz`, or several, `train-00000-of-00002.parquet`.
Every fault is told with its file and line (parquet and hub: row), counted from 1. A file .json may also hold one
value over many lines, such as SQuAD's.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

from nlptool.errors import DataError
from nlptool.formatting import counted, json_value
from nlptool.manifests import os_error_text
from nlptool.text.columns import SUFFIXES, sentences
from nlptool.text.corpus import BROKEN
from nlptool.text.hub import dataset
from nlptool.text.lines import RECORD, lines
from nlptool.text.readers import opened
from nlptool.text.records import BadRecord
from nlptool.text.sources import COMPRESSIONS, FORMATS, File, Format

SHOWN = 8  # names in a message


class Row(NamedTuple):
    """One row: where it was read, and its values by column."""

    place: str
    values: dict[str, Any]

    def get(self, column: str) -> Any:
        """The value of a column; dots lead into an object: `labels.label`; into a list by place: `options.0`, or by
        name into each of its objects.

        Raises DataError where there is none.
        """
        value: Any = self.values
        for name in column.split("."):
            if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
                continue
            each = value if isinstance(value, list) else [value]
            if not all(isinstance(one, dict) and name in one for one in each):
                raise DataError(f"{self.place}: no column '{column}'; {_has(self.values)}")
            value = [one[name] for one in each] if isinstance(value, list) else value[name]
        return value

    def text(self, column: str) -> str:
        """A text. Raises DataError for what is none."""
        value = self.get(column)
        if not isinstance(value, str):
            raise DataError(f"{self.place}: column '{column}' holds {json_value(value)}; a text is expected")
        return value


def whole(value: Any) -> int | None:
    """The whole number that a value is: 1, 1.0, "1" and "1.0", as pandas writes a column with gaps; None for others."""
    if isinstance(value, str):
        digits, _, rest = value.strip().partition(".")
        return int(digits) if digits.removeprefix("-").isdecimal() and not rest.strip("0") else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if type(value) is int else None


def is_hidden(label: Any) -> bool:
    """Whether a label is written as one that is not known: -1 by GLUE, nothing by others, nan by pandas."""
    return whole(label) == -1 or str(label).strip() in ("None", "nan", "")


class Example(NamedTuple):
    """What a task takes of a row."""

    place: str
    inputs: tuple[tuple[str, ...], ...]
    """What the net reads, one after the other: a text or a pair; of several choices, one for each."""
    label: tuple[float, ...]
    """As numbers; NaN: hidden."""


class Question(NamedTuple):
    """A question whose answer is a stretch of a text."""

    place: str
    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...] | None
    """Each with its first character in the context; none: there is no answer; None: hidden."""


class Sentence(NamedTuple):
    """Words, or the characters of a text, and a tag for each."""

    place: str
    tokens: tuple[str, ...]
    tags: tuple[int, ...] | None
    """None: hidden."""
    between: str
    """What stands between two of them in a text."""


def files(folder: Path, split: str, *, columns: bool = False) -> list[File]:
    """The files of a split in a folder, sorted; none where the split is not there. Raises DataError for no folder.

    columns: also files in CoNLL's columns, where there are no others.
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
    if columns and not found:
        found = [file for path in paths if (file := _of(path, dict.fromkeys(SUFFIXES, "text"))) is not None]
    if len(found) > 1 and any(file.path.name.startswith(f"{split}.") for file in found):
        raise DataError(
            f"{folder}: {len(found)} files for the split {split}: {', '.join(f.path.name for f in found)}",
            hint="leave one of them there",
        )
    return found


def listing(folder: Path) -> str:
    """The first names in a folder, for a message that a file is missing."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return (", ".join(names[:SHOWN]) + (", ..." if names[SHOWN:] else "")) or "nothing"


def of_rows(path: Path) -> File | None:
    """A file of rows by its suffixes; None for any other, and for a folder."""
    return _of(path, FORMATS)


def _of(path: Path, formats: Mapping[str, Format]) -> File | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    kind = formats.get(suffixes[-1] if suffixes else "")
    return File(path, kind, compression, path.stat().st_size) if kind is not None and path.is_file() else None


def read(found: list[File]) -> Iterator[Row]:
    """The rows of files, one after the other, in bounded memory. Raises DataError for what cannot be read."""
    for file in found:
        name = str(file.path)
        try:
            if file.format == "parquet":
                yield from _parquet(name, file)
                continue
            with opened(file) as (_, stream):
                if file.format == "jsonl" and _is_one_value(file):
                    yield from _json(name, stream)
                elif file.format == "jsonl":
                    yield from _jsonl(name, stream)
                elif file.format == "text":
                    yield from (Row(place, dict(values)) for place, values in sentences(name, stream))
                elif ".tsv" in file.path.suffixes:
                    yield from _tsv(name, stream)
                else:
                    yield from _csv(name, stream)
        except BROKEN as error:
            raise DataError(
                f"{name}: the file breaks off or is damaged ({os_error_text(error)})",
                hint="fetch or write it anew",
            ) from error


def hub(name: str, subset: str | None, split: str) -> Iterator[Row]:
    """The rows of a split of a data set on the Hugging Face hub."""
    try:
        rows = dataset(name, subset, split)
    except Exception as error:  # of some dozen kinds, all from the network, the library or the data set
        what = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{name}: the data set could not be read: {what}",
            hint="check the network; or name a folder with the task's files: data=FOLDER",
        ) from error
    for number, values in enumerate(rows, start=1):
        yield Row(f"{name}/{split}:{number}", values)


def _jsonl(name: str, stream: IO[bytes]) -> Iterator[Row]:
    for number, line in enumerate(lines(stream), start=1):
        place = f"{name}:{number}"
        if isinstance(line, BadRecord):
            _stop(place, line)
        if line.isspace():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: broken JSON ({error}); one object a line is expected") from None
        if not isinstance(values, dict):
            raise DataError(
                f"{place}: expected an object with the columns as keys",
                hint="jq -c '.[]' FILE makes lines of an array",
            )
        if "\\ud" in line or "\\uD" in line:
            _require_unicode(place, values)
        yield Row(place, values)


def _is_one_value(file: File) -> bool:
    """Whether a .json file is one value over many lines, or an array, in place of an object a line."""
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


def _json(name: str, stream: IO[bytes]) -> Iterator[Row]:
    """One value: an object is a row, and so is each object in an array. It is read into memory as a whole."""
    try:
        value = json.load(stream)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: broken JSON ({error})") from None
    for number, values in enumerate(value if isinstance(value, list) else [value]):
        place = f"{name}: [{number}]" if isinstance(value, list) else name
        if not isinstance(values, dict):
            raise DataError(f"{place}: expected an object with the columns as keys")
        _require_unicode(place, values)
        yield Row(place, values)


def _require_unicode(place: str, values: dict[str, Any]) -> None:
    """Raise DataError for half a character, which JSON's escapes can write and no tokenizer reads."""
    try:
        json.dumps(values, ensure_ascii=False).encode("utf8")
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise DataError(
            f"{place}: \\u{ord(half):04x} is half of a character, without its other half",
            hint="mend or remove the row; the text was cut within an emoji or a rare character",
        ) from None


def _tsv(name: str, stream: IO[bytes]) -> Iterator[Row]:
    """Tab-separated values with a header; a quotation mark is a character like others, as in GLUE's files."""
    header: list[str] | None = None
    for number, line in enumerate(lines(stream), start=1):
        place = f"{name}:{number}"
        if isinstance(line, BadRecord):
            _stop(place, line)
        values = line.removesuffix("\n").removesuffix("\r").split("\t")
        if header is None:
            header = _header(place, values)
        elif values != [""]:
            yield Row(place, _named(place, header, values))


def _csv(name: str, stream: IO[bytes]) -> Iterator[Row]:
    """Comma-separated values with a header; quoted values may hold commas and line ends."""
    csv.field_size_limit(RECORD)
    number = 0

    def texts() -> Iterator[str]:
        for at, line in enumerate(lines(stream), start=1):
            if isinstance(line, BadRecord):
                _stop(f"{name}:{at}", line)
            yield line

    rows = csv.reader(texts(), strict=True)
    header: list[str] | None = None
    while True:
        number = rows.line_num + 1
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{name}:{number}: broken CSV ({error})", hint="check the quotation marks"
            ) from None
        if header is None:
            header = _header(f"{name}:{number}", values)
        elif values:
            yield Row(f"{name}:{number}", _named(f"{name}:{number}", header, values))


def _parquet(name: str, file: File) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            row = 0
            for batch in table.iter_batches(batch_size=256):
                for values in batch.to_pylist():
                    row += 1
                    yield Row(f"{name}:{row}", values)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise OSError(str(error)) from error


def _header(place: str, names: list[str]) -> list[str]:
    if twice := [name for at, name in enumerate(names) if name and name in names[:at]]:
        raise DataError(f"{place}: the header names '{twice[0]}' twice", hint="rename one of the columns")
    return names


def _named(place: str, header: list[str], values: list[str]) -> dict[str, str]:
    if len(values) != len(header):
        raise DataError(
            f"{place}: {counted(len(values), 'values')}, but the header names {len(header)}",
            hint="check the separator: .tsv is read with tabs and without quoting, .csv with commas",
        )
    return dict(zip(header, values, strict=True))


def _has(values: dict[str, Any]) -> str:
    names = [str(name) if str(name) == str(name).strip() else json_value(name) for name in values]
    told = f"it has {', '.join(names[:SHOWN]) or 'none'}{', ...' if names[SHOWN:] else ''}"
    if len(names) == 1:
        for separator, suffix in (("\t", ".tsv"), (",", ".csv"), (";", ".csv, with commas")):
            if separator in str(next(iter(values))):
                return f"{told}; if {json_value(separator)} is the separator, name the file {suffix}"
    return told


def _stop(place: str, found: BadRecord) -> NoReturn:
    raise DataError(f"{place}: {found.detail}", hint=found.hint)
