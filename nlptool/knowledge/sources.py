"""The sources of a recipe as triples by split, labels and pairs; a bad line stops the work or is counted."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from nlptool.errors import DataError
from nlptool.knowledge import countryinfo, readers, triple_formats
from nlptool.knowledge.readers import Columns
from nlptool.manifests import os_error_text
from nlptool.text import readers as text_readers
from nlptool.text import sources
from nlptool.text.config import Source
from nlptool.text.corpus import BROKEN
from nlptool.text.lines import lines
from nlptool.text.records import BadRecord
from nlptool.text.sources import File

Follow = Callable[[int], None]
OPENKE = {"train": "train2id.txt", "validation": "valid2id.txt", "test": "test2id.txt"}
SUFFIXES = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".nt", ".nq"), "ntriples"),
    ".csv": "csv",
}


class Layout(NamedTuple):
    """How triples are laid out in files, as the recipe says."""

    format: str | None
    columns: tuple[str, ...]
    fields: tuple[str, str, str]
    language: str


@dataclass
class ReadTally:
    """Bytes read, and bad lines."""

    stop: bool
    """Whether the first bad line stops the work."""
    dropped: Counter[str] = field(default_factory=Counter)
    read: int = 0
    """Bytes on disk."""

    def bad(self, path: Path, record: BadRecord) -> None:
        """Raise DataError for a bad line, or count it."""
        if self.stop:
            raise DataError(
                f"{path}:{record.line}: {record.detail}",
                hint=f"{record.hint}; or source.on_error=drop leaves such lines out and counts them",
            )
        self.dropped[record.reason] += 1


def files_of(names: tuple[str, ...]) -> list[File]:
    """The files of paths, folders and patterns. Raises DataError, with close names, for a missing file."""
    return sources.files(Source(files=names, format="text")) if names else []


def openke_files(names: tuple[str, ...]) -> dict[str, File]:
    """The files of an OpenKE folder, by name. Raises DataError where one is missing."""
    found = {file.path.name: file for file in files_of(names)}
    wanted = ("entity2id.txt", "relation2id.txt", *OPENKE.values())
    for name in ("entity2id.txt", "relation2id.txt", OPENKE["train"]):
        if name not in found:
            raise DataError(
                f"{', '.join(names)}: holds no {name}",
                hint="name the folder with OpenKE's files, or another source.format",
            )
    return {name: found[name] for name in wanted if name in found}


def triples(file: File, layout: Layout, tally: ReadTally, follow: Follow) -> Iterator[Columns]:
    """The triples of one file, some thousand at a time."""
    suffixes = [suffix.lower() for suffix in file.path.suffixes]
    format_ = layout.format or next((SUFFIXES[suffix] for suffix in suffixes if suffix in SUFFIXES), "tsv")

    def read(stream: IO[bytes]) -> readers.Read:
        if format_ == "jsonl":
            return readers.read_jsonl(stream, layout.fields)
        if format_ == "conceptnet":
            return readers.read_conceptnet(stream, layout.language)
        if format_ == "csv":
            return triple_formats.read_csv(stream, layout.columns)
        if format_ == "ntriples":
            return triple_formats.read_ntriples(stream)
        if format_ == "wikidata":
            return triple_formats.read_wikidata(stream)
        return readers.read_tsv(stream, layout.columns)

    yield from _followed(file, read, tally, follow)


def openke_triples(names: dict[str, File], split: str, tally: ReadTally, follow: Follow) -> Iterator[Columns]:
    """The triples of a split in OpenKE's files; none where the file is missing."""
    if OPENKE[split] not in names:
        return
    known = []
    for name in ("entity2id.txt", "relation2id.txt"):
        with text_readers.opened(names[name]) as (_, stream):
            found, bad = readers.read_openke_names(stream)
        if bad is not None:
            raise DataError(f"{names[name].path}:{bad.line}: {bad.detail}", hint=bad.hint)
        known.append(found)
    read = lambda stream: readers.read_openke(stream, *known)  # noqa: E731
    yield from _followed(names[OPENKE[split]], read, tally, follow)


def _followed(
    file: File,
    read: Callable[[IO[bytes]], readers.Read],
    tally: ReadTally,
    follow: Follow,
) -> Iterator[Columns]:
    start = tally.read
    try:
        with text_readers.opened(file) as (raw, stream):
            for found in read(stream):
                if isinstance(found, BadRecord):
                    tally.bad(file.path, found)
                else:
                    yield found
                follow(start + raw.tell())
    except BROKEN as error:
        raise DataError(
            f"{file.path}: the file breaks off or is damaged ({os_error_text(error)})",
            hint="fetch or write the file anew",
        ) from None
    tally.read = start + file.size


def labels(files: list[File]) -> Iterator[tuple[str, str]]:
    """Entities and their labels: two tab-separated fields a line. Raises DataError with the line."""
    for file in files:
        with text_readers.opened(file) as (_, stream):
            for number, line in enumerate(lines(stream), start=1):
                if isinstance(line, BadRecord):
                    raise DataError(f"{file.path}:{number}: {line.detail}", hint=line.hint)
                entity, tab, label = line.rstrip("\r\n").partition("\t")
                if not line.isspace() and not (tab and entity):
                    raise DataError(
                        f"{file.path}:{number}: an entity and its label are expected, a tab between them",
                        hint="fix or remove the line",
                    )
                if tab:
                    yield entity, label


def pairs(files: list[File], head: str, tail: str) -> Iterator[tuple[str, str]]:
    """Pairs of entities from a task's rows. Raises DataError with the line where a row has none."""
    for file in files:
        suffixes = [suffix.lower() for suffix in file.path.suffixes]
        separator = {".tsv": "\t", ".csv": ","}.get(suffixes[-1 - bool(file.compression)] if suffixes else "")
        with text_readers.opened(file) as (_, stream):
            for number, line in enumerate(lines(stream), start=1):
                if isinstance(line, BadRecord):
                    raise DataError(f"{file.path}:{number}: {line.detail}", hint=line.hint)
                if line.isspace():
                    continue
                try:
                    row = (
                        json.loads(line)
                        if separator is None
                        else next(csv.reader([line], delimiter=separator))
                    )
                except (ValueError, RecursionError):
                    row = None
                found = [readers.value_at(row, path) for path in (head, tail)]
                ends = [str(value) for value in found if isinstance(value, str | int)]
                if len(ends) < 2:
                    raise DataError(
                        f"{file.path}:{number}: has no pair of entities at '{head}' and '{tail}'",
                        hint="name where they lie: without.0.head, without.0.tail",
                    )
                yield ends[0], ends[1]


def package(name: str) -> tuple[Columns, list[tuple[str, str]]]:
    """Triples and labels of an installed package. Raises DataError where it is not installed."""
    assert name == "countryinfo"
    return countryinfo.facts()
