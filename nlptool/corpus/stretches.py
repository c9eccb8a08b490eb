"""Cuts the input into stretches, units of work whose bounds depend on the input alone.

The files of a source form groups, large ones alone and small ones together; the documents of a group form stretches
of about STRETCH characters. So neither the number of workers nor a restart moves a bound.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nlptool.corpus import web
from nlptool.corpus.config import CorpusSource
from nlptool.corpus.document import Document
from nlptool.errors import DataError
from nlptool.text import corpus, sources
from nlptool.text.corpus import ReadStats
from nlptool.text.sources import File

STRETCH = 1 << 22  # characters
GROUP = 1 << 26  # bytes on disk
PAGE_TO_TEXT = 8  # a page is about twenty times as long as its text
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

    Raises DataError for what is missing or not readable.
    """
    found: list[Group] = []
    notes: list[str] = []
    for name, given in recipe.items():
        try:
            source, remarks = sources.installed(given)
            files = [file for file in sources.files(source) if not _is_beside(file, given)]
        except DataError as error:
            error.message = f"sources.{name}: {error.message}"
            raise
        notes += remarks
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
