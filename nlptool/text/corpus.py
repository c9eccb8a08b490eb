"""Files, packages and hub data sets to documents."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nlptool.text.config import Source


class Document(NamedTuple):
    """One text; `id` names its place, e.g. `books/emma.txt:1041`."""

    id: str
    text: str


@dataclass
class Tally:
    """What happened while a source was read; filled by `documents`."""

    documents: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # reason -> documents left out
    repaired: Counter[str] = field(default_factory=Counter)  # what was put right -> how often
    notes: list[str] = field(default_factory=list)  # what the user should be told, once each
    longest_line: int = 0  # characters
    read: int = 0  # bytes read so far, as they lie on the disk
    size: int = 0  # bytes to read in all; 0 where not known (hub)


def find(source: Source) -> Tally:
    """Look for everything the source names, before any work. Raises DataError with near names for what is missing."""
    raise NotImplementedError


def documents(source: Source, tally: Tally) -> Iterator[Document]:
    """All documents of a source, in the same order each time, in constant memory.

    Line ends are newlines; white-space-only documents, NUL and lone surrogates are left out and counted in `tally`.
    Raises DataError with the place, what was expected and what to do.
    """
    raise NotImplementedError
