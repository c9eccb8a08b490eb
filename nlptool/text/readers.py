"""Readers of records, one per format, each reporting the line of everything it cannot read.

`datasets` reads hub data sets. It is not used for local JSON lines and CSV: it reads 8 MB/s of JSON lines rather
than 100, turns a missing field silently into an empty text, reports no line on failure, and does not support blank
lines between documents.
"""

import bz2
import codecs
import gzip
import json
import lzma
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from itertools import chain
from typing import IO, Any, cast

from nlptool.text import arrow_tables
from nlptool.text.json_arrays import read_values
from nlptool.text.lines import byte_lines, encoding_hint, lines
from nlptool.text.records import BadRecord, Read, Record, at_field, no_field
from nlptool.text.sources import File

LONGEST = 1 << 24  # bytes of one text document; a longer one continues in another document, to bound memory


@contextmanager
def opened(file: File) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file as on disk, for its position, and its decompressed bytes."""
    with file.path.open("rb") as raw:
        yield raw, OPENERS[file.compression](raw) if file.compression else raw


def _zstandard(raw: IO[bytes]) -> IO[bytes]:
    # Python has zstandard from 3.14 on; pyarrow, a dependency of `datasets`, always has it.
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
    """Lines; one longer than LONGEST in pieces that start at a space or, without one, at a character."""
    rest = b""
    for line in byte_lines(stream, LONGEST):
        rest += line
        while len(rest) > LONGEST or (len(rest) == LONGEST and not rest.endswith(b"\n")):
            at = rest.rfind(b" ", 0, LONGEST)
            if at <= 0:
                at = LONGEST - 1
                while at > LONGEST - 4 and rest[at] & 0xC0 == 0x80:  # inside a multi-byte character
                    at -= 1
            yield rest[:at]
            rest = rest[at:]
        if rest.endswith(b"\n"):
            yield rest
            rest = b""
    if rest:
        yield rest


def _document(data: bytes, line: int, offset: int, documents: str, cut: bool) -> Record | BadRecord:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _not_utf8(data, error.start, line, offset)
    if offset == 0:
        text = text.removeprefix("\ufeff")
    if documents != "file" and not cut:
        text = text.removesuffix("\n").removesuffix("\r")
    return Record(line, text, cut)


def not_utf8(head: bytes, *, whole: bool) -> BadRecord | None:
    """What is said of a text file's beginning that is not UTF-8; None where it is. whole: the file ends with it."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError as error:
        return _not_utf8(head, error.start, line=1, offset=0)
    return None


def _not_utf8(data: bytes, at: int, line: int, offset: int) -> BadRecord:
    found = f"the byte 0x{data[at]:02x} at offset {offset + at:,} is not UTF-8"
    number = line + data.count(b"\n", 0, at)
    return BadRecord(number, "invalid UTF-8", found, encoding_hint(data, first=offset == 0))


def read_jsonl(stream: IO[bytes], field: str) -> Read:
    """One JSON object a line, blank lines skipped; or an array of objects, or objects over several lines."""
    rest, head = lines(stream), list[str | BadRecord]()
    for line in rest:
        head.append(line)
        if isinstance(line, BadRecord) or not line.isspace():
            break
    begins = head[-1].strip() if head and isinstance(head[-1], str) else ""
    if begins.startswith("[") or begins == "{":
        yield from read_values(chain(head, rest), field)
        return
    for number, line in enumerate(chain(head, rest), start=1):
        if isinstance(line, BadRecord):
            yield line._replace(line=number)
        elif not line.isspace():
            try:
                yield at_field(json.loads(line), field, number)
            except (ValueError, RecursionError) as error:
                found = f"broken JSON ({error}); one object a line is expected"
                yield BadRecord(number, "broken JSON", found, "fix or remove the line")


def read_parquet(file: File, field: str, beside: Sequence[str] = ()) -> Read:
    """A Parquet or Arrow file; `line` is the row. Raises OSError when the file is damaged.

    beside: other columns to read if the file has them.
    """
    names = arrow_tables.column_names(file.path)
    if (lacking := _without_column(names, field)) is not None:
        yield lacking
        return
    columns = [field, *(name for name in beside if name in names)]
    for row, record in enumerate(arrow_tables.read(file.path, columns), start=1):
        yield at_field(record, field, row)


def parquet_fault(file: File, field: str) -> BadRecord | None:
    """The error for a Parquet or Arrow file without the column, by its schema alone. Raises as `read_parquet`."""
    return _without_column(arrow_tables.column_names(file.path), field)


def _without_column(names: Sequence[str], field: str) -> BadRecord | None:
    there = field in names or field.partition(".")[0] in names
    return None if there else no_field(dict.fromkeys(names), field, 1)


def read_hub(rows: Any, field: str) -> Read:
    """The rows of a `datasets` data set."""
    for number, row in enumerate(rows, start=1):
        yield at_field(row, field, number)
