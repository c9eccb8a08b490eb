"""Files to records: one reader per format, each naming the line of everything it cannot read.

`datasets` reads what comes from the hub. For local text, JSON lines and CSV it is left aside: it was measured
at 8 MB/s of JSON lines against 100; it makes a missing field an empty text without a word; it names no line
when it fails; and it knows nothing of blank lines between documents.
"""

import bz2
import csv
import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from io import BufferedReader
from typing import IO, Any, NamedTuple, cast

from nlptool.figures import counted
from nlptool.text.sources import File

LONGEST = (
    1 << 24
)  # bytes of one text document; longer ones go on in another document, so memory stays bounded
RECORD = 1 << 28  # bytes of one line of JSON or CSV

ENCODING = "convert the file with iconv, e.g. iconv -f WINDOWS-1252 -t UTF-8 (CP949 for Korean)"
UTF16 = "the file looks like UTF-16: convert it with iconv -f UTF-16 -t UTF-8"


class Record(NamedTuple):
    """A text read: a document, or a part of one. `line` is its first line (parquet: row), counted from 1."""

    line: int
    text: str
    cut: bool = False  # the document goes on in the next record


class Unreadable(NamedTuple):
    """A record or document that could not be read."""

    line: int
    reason: str  # what it is counted under
    detail: str  # what was found, what was expected
    hint: str


Read = Iterator[Record | Unreadable]


@contextmanager
def opened(file: File) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file as it lies on the disk, for its position, and its decompressed bytes."""
    with file.path.open("rb") as raw:
        yield raw, OPENERS[file.compression](raw) if file.compression else raw


def _zstandard(raw: IO[bytes]) -> IO[bytes]:
    # Python has zstandard from 3.14 on only; pyarrow, which `datasets` brings, always has it.
    import pyarrow

    return cast(IO[bytes], BufferedReader(pyarrow.input_stream(raw, compression="zstd")))


OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _zstandard,
}


def read_text(stream: IO[bytes], documents: str) -> Read:
    """Plain text: a document is the lines up to a `blank-line` (BERT's format), a `line`, or the `file`."""
    held: list[bytes] = []
    size = offset = 0
    first = line = 1
    for piece in _pieces(stream):
        blank = piece.isspace()
        ended = {"blank-line": blank, "line": bool(held) and held[-1].endswith(b"\n"), "file": False}[
            documents
        ]
        if held and (ended or size + len(piece) > LONGEST):
            yield _document(b"".join(held), first, offset, documents, cut=not ended)
            offset += size
            held, size = [], 0
        if blank and not held and documents != "file":
            offset += len(piece)
        else:
            first = first if held else line
            held.append(piece)
            size += len(piece)
        line += piece.endswith(b"\n")
    if held:
        yield _document(b"".join(held), first, offset, documents, cut=False)


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines; one longer than LONGEST in pieces that start at a space or, if there is none, at a character."""
    rest = b""
    while piece := stream.readline(LONGEST - len(rest)):
        piece, rest = rest + piece, b""
        if len(piece) == LONGEST and not piece.endswith(b"\n"):
            at = piece.rfind(b" ")
            if at <= 0:
                at = len(piece) - 1
                while at > len(piece) - 4 and piece[at] & 0xC0 == 0x80:  # inside a character of several bytes
                    at -= 1
            piece, rest = piece[:at], piece[at:]
        yield piece
    if rest:
        yield rest


def _document(data: bytes, line: int, offset: int, documents: str, cut: bool) -> Record | Unreadable:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = line + data.count(b"\n", 0, error.start)
        found = f"the byte 0x{data[error.start]:02x} at offset {offset + error.start:,} is not UTF-8"
        marked = offset == 0 and data[:2] in (b"\xff\xfe", b"\xfe\xff")
        return Unreadable(at, "invalid UTF-8", found, UTF16 if marked else ENCODING)
    if offset == 0:
        text = text.removeprefix("\ufeff")
    if documents != "file" and not cut:
        text = text.removesuffix("\n").removesuffix("\r")
    return Record(line, text, cut)


def read_jsonl(stream: IO[bytes], field: str) -> Read:
    """One JSON object a line; blank lines are passed over."""
    for number, line in enumerate(lines(stream), start=1):
        if isinstance(line, Unreadable):
            yield line._replace(line=number)
        elif not line.isspace():
            try:
                yield _field(json.loads(line), field, number)
            except (ValueError, RecursionError) as error:
                found = f"broken JSON ({error}); one object a line is expected"
                yield Unreadable(number, "broken JSON", found, "mend or remove the line")


def read_csv(stream: IO[bytes], field: str, delimiter: str) -> Read:
    """Comma- or tab-separated values with a header; quoted values may hold line ends."""
    csv.field_size_limit(RECORD)
    faults: list[Unreadable] = []

    def texts() -> Iterator[str]:
        for line in lines(stream):
            if isinstance(line, Unreadable):
                faults.append(line)
            yield "" if isinstance(line, Unreadable) else line

    rows = csv.reader(texts(), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            faults.append(
                Unreadable(number, "broken CSV", f"broken CSV ({error})", "check the quotation marks")
            )
            row = []
        if faults:
            yield faults[0]._replace(line=number)
            faults.clear()
        elif header is None:
            header = row
            if field not in header:
                yield _field(dict.fromkeys(header), field, number)
                return
        elif row and len(row) != len(header):
            found = f"{counted(len(row), 'values')}, but the header names {len(header)}"
            yield Unreadable(number, "broken CSV", found, "check the quotation marks and the separator")
        elif row:
            yield Record(number, row[header.index(field)])


def lines(stream: IO[bytes]) -> Iterator[str | Unreadable]:
    """Lines as text. The part of an overlong line that exceeds RECORD bytes counts as another line."""
    first = True
    while data := stream.readline(RECORD):
        if len(data) == RECORD and not data.endswith(b"\n"):
            found = f"a line of more than {RECORD:,} bytes"
            yield Unreadable(0, "overlong line", found, "split it: one record a line is expected")
            continue
        try:
            text = data.decode("utf-8")
            yield text.removeprefix("\ufeff") if first else text
        except UnicodeDecodeError as error:
            found = (
                f"the byte 0x{data[error.start]:02x} at place {error.start + 1:,} of the line is not UTF-8"
            )
            marked = first and data[:2] in (b"\xff\xfe", b"\xfe\xff")
            yield Unreadable(0, "invalid UTF-8", found, UTF16 if marked else ENCODING)
        first = False


def read_parquet(file: File, field: str) -> Read:
    """Batch by batch; `line` is the row. Raises OSError when the file is broken."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            if field not in table.schema_arrow.names:
                yield _field(dict.fromkeys(table.schema_arrow.names), field, 1)
                return
            row = 0
            for batch in table.iter_batches(batch_size=256, columns=[field]):
                for value in batch.column(0).to_pylist():
                    row += 1
                    yield _field({field: value}, field, row)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise OSError(str(error)) from error


def read_hub(rows: Any, field: str) -> Read:
    """The rows of a `datasets` data set."""
    for number, row in enumerate(rows, start=1):
        yield _field(row, field, number)


def _field(record: object, field: str, line: int) -> Record | Unreadable:
    if not isinstance(record, dict):
        found = f"a {_json_name(record)}; an object with the field '{field}' is expected"
        hint = (
            "jq -c '.[]' FILE makes lines of an array"
            if isinstance(record, list)
            else "mend or remove the line"
        )
        return Unreadable(line, "not an object", found, hint)
    if field not in record:
        names = [str(name) for name in record]
        close = get_close_matches(field, names, n=1)
        found = f"no field '{field}'; it has {', '.join(names[:8]) or 'none'}{', ...' if names[8:] else ''}"
        return Unreadable(line, "no field", found, f"set source.field={(close or names or ['NAME'])[0]}")
    value = record[field]
    if value is None:  # tables hold nulls where a text is empty
        return Record(line, "")
    if not isinstance(value, str):
        found = f"the field '{field}' holds a {_json_name(value)}; a string is expected"
        return Unreadable(line, "not a string", found, "name another field: source.field=NAME")
    return Record(line, value)


def _json_name(value: object) -> str:
    names = {list: "list", dict: "object", bool: "truth value", int: "number", float: "number", str: "string"}
    return names.get(type(value), "null" if value is None else type(value).__name__)
