"""Cuts the input into stretches, units of work whose bounds depend on the input alone.

The files of a source form groups, large ones alone and small ones together; the documents of a group form stretches
of about STRETCH characters. So neither the number of workers nor a restart moves a bound.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nlptool.corpus import web
from nlptool.corpus.config import CorpusSource
from nlptool.corpus.document import Document
from nlptool.errors import DataError, NlptoolError
from nlptool.text import corpus, file_heads, sources
from nlptool.text.config import Source
from nlptool.text.corpus import ReadStats
from nlptool.text.sources import File

STRETCH = 1 << 22  # characters
GROUP = 1 << 26  # bytes on disk
PAGE_TO_TEXT = 8  # a page is about twenty times as long as its text
SOURCE_KEY = re.compile(rf"(?<![\w./-])source\.(?=(?:{'|'.join(Source.model_fields)})\b)")
FACTS = ("url", "title", "date", "timestamp", "language", "license")
"""Fields that are kept with a document."""


class Group(NamedTuple):
    """Files that are read together."""

    number: int
    source: str
    files: tuple[File, ...]
    """None where the source has no files and is read as a whole."""

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)


class Part(NamedTuple):
    """The place of a stretch in the input."""

    group: int
    number: int

    @property
    def name(self) -> str:
        """Name of its folder; sorted by name, stretches are in the order of the input."""
        return f"{self.group:06d}-{self.number:06d}"


def groups(recipe: Mapping[str, CorpusSource]) -> tuple[list[Group], list[str]]:
    """All groups of all sources, in the order of the recipe, and notes for the user.

    Raises DataError for a missing or unreadable file.
    """
    found: list[Group] = []
    notes: list[str] = []
    for name, given in recipe.items():
        with keys_under(f"sources.{name}"):
            try:
                source, remarks = sources.installed(given)
                found_files = sources.files(source, markup=given.pages is not None)
                files = [file for file in found_files if not _is_beside(file, given)]
            except DataError as error:
                error.message = f"sources.{name}: {error.message}"
                raise
            notes += remarks if given.pages else [*remarks, *file_heads.look(source, files)]
        if not files:
            found.append(Group(len(found), name, ()))
        held: list[File] = []
        for file in files:
            held.append(file)
            if sum(one.size for one in held) >= GROUP:
                found.append(Group(len(found), name, tuple(held)))
                held = []
        if held:
            found.append(Group(len(found), name, tuple(held)))
    return found, notes


@contextmanager
def keys_under(block: str) -> Iterator[None]:
    """An error of reading names the keys of `source`, as `tokenize` has them; here they are those of `block`."""
    try:
        yield
    except NlptoolError as error:
        error.message = SOURCE_KEY.sub(f"{block}.", error.message)
        error.hint = SOURCE_KEY.sub(f"{block}.", error.hint) if error.hint else None
        raise


def _is_beside(file: sources.File, source: CorpusSource) -> bool:
    """Whether a file among HTML files holds their URLs."""
    return source.page_urls is not None and file.path.resolve() == Path(source.page_urls).resolve()


def stretches(group: Group, source: CorpusSource, tally: ReadStats) -> Iterator[tuple[Part, list[Document]]]:
    """The documents of a group in stretches. Raises DataError where one cannot be read and `source` says to stop."""
    held: list[Document] = []
    length = number = 0
    documents = (
        web.of_files(source, group.files, tally)
        if source.pages
        else corpus.of_files(source, group.files, tally, FACTS)
    )
    stretch = STRETCH * PAGE_TO_TEXT if source.has_markup else STRETCH
    with keys_under(f"sources.{group.source}"):
        for document in documents:
            fields = document.fields or {}
            facts = {name: value for name in FACTS if isinstance(value := fields.get(name), str)}
            held.append(Document(document.id, group.source, document.text, facts))
            length += len(document.text)
            if length >= stretch:
                yield Part(group.number, number), held
                held, length, number = [], 0, number + 1
    if held:
        yield Part(group.number, number), held
