"""Inspects a source before any work: how many files of which format there are, and which do not begin with text.

Only the head of each file is read, in milliseconds, so that all faulty files are named at once.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.text import corpus, readers
from nlptool.text.config import Source
from nlptool.text.corpus import BROKEN, ReadStats
from nlptool.text.records import BadRecord
from nlptool.text.sources import COMPRESSIONS, File

HEAD = 1 << 16  # bytes of a text file that are looked at
SHOWN = 8  # kinds of faults and suffixes listed


class Fault(NamedTuple):
    """A file whose first record cannot be read."""

    file: File
    record: BadRecord


def formats(files: Sequence[File]) -> str:
    """How many files of each format there are; text is also counted by suffix, since any other file is read as text."""
    kinds = Counter(file.format for file in files)
    text = Counter(_suffix(file) for file in files if file.format == "text")
    listed = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
    if set(text) - {".txt"}:
        listed += f"; text: {', '.join(f'{number:,} {suffix}' for suffix, number in text.most_common(SHOWN))}"
        listed += ", ..." if len(text) > SHOWN else ""
    return f"{len(files):,}: {listed}"


def _suffix(file: File) -> str:
    suffixes = [suffix for suffix in file.path.suffixes if suffix not in COMPRESSIONS]
    return suffixes[-1] if suffixes else "without a suffix"


def look(source: Source, files: Sequence[File]) -> list[str]:
    """Describe the files whose beginning cannot be read.

    Raises DataError with the files by kind of fault where `source.on_error` is stop.
    """
    found = [fault for file in files if (fault := _fault(source, file)) is not None]
    if not found:
        return []
    if source.on_error == "drop":
        return [f"{_described(same)}: dropped and counted, as all that is like it" for same in _alike(found)]
    if len(found) == 1:
        raise corpus.record_error(str(found[0].file.path), found[0].record)
    kinds = _alike(found)
    lines = [f"  {_described(same)}: {same[0].record.hint}" for same in kinds[:SHOWN]]
    lines += [f"  and {counted(len(kinds) - SHOWN, 'other kinds of faults')}"] * (len(kinds) > SHOWN)
    raise DataError(
        f"{len(found):,} of {counted(len(files), 'files')} begin with what cannot be read:\n"
        + "\n".join(lines),
        hint="fix them, or name the others in source.files; or source.on_error=drop leaves out what cannot be read, "
        "and counts it",
    )


def _alike(found: Sequence[Fault]) -> list[list[Fault]]:
    """Group faults with the same remedy."""
    kinds: dict[tuple[str, str], list[Fault]] = {}
    for fault in found:
        kinds.setdefault((fault.record.reason, fault.record.hint), []).append(fault)
    return list(kinds.values())


def _described(same: Sequence[Fault]) -> str:
    file, record = same[0]
    place = f"{file.path}:{record.line}" if record.line else str(file.path)
    more = f" ({counted(len(same) - 1, 'other files')} alike)" if same[1:] else ""
    return f"{place}: {record.detail}{more}"


def _fault(source: Source, file: File) -> Fault | None:
    """The fault at the beginning of a file."""
    if file.format == "text":
        record = _of_text(file)
    elif file.format == "parquet":
        record = _of_parquet(file, source.field)
    else:
        first = next(iter(corpus.records(file, source, ReadStats())), None)
        record = first if isinstance(first, BadRecord) else None
    return None if record is None else Fault(file, record)


def _of_text(file: File) -> BadRecord | None:
    """The fault of a text file; it may be one document of any length, so only its head is read."""
    try:
        with readers.opened(file) as (_, stream):
            data = stream.read(HEAD)
    except BROKEN as error:
        return corpus.damaged(error)
    return readers.not_utf8(data, whole=len(data) < HEAD)


def _of_parquet(file: File, field: str) -> BadRecord | None:
    """Read only the schema, since a row group may be large."""
    try:
        return readers.parquet_fault(file, field)
    except BROKEN as error:
        return corpus.damaged(error)
