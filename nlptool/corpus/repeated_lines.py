"""Lines that many documents share: counted over all stretches, then removed.

A stretch stores a 64-bit hash of each distinct line of each document; counting processes them one range of hashes at
a time, so that memory does not grow with the corpus. Lines of different sites have different hashes.
"""

import re
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xxhash

from nlptool.corpus import lines
from nlptool.corpus.config import RepeatedLines
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.corpus.keys_file import open_keys
from nlptool.corpus.lines import Removed
from nlptool.corpus.urls import host_of
from nlptool.text.word_hashes import Hashes

NUMBER = re.compile(r"\d+")
AT_A_TIME = 1 << 24  # hashes sorted at a time: 128 MB
SHOWN = 50  # lines listed in the report


def numbers(text: str, site: str) -> list[int]:
    """A hash of each line of a text; 0: a blank one."""
    seed = xxhash.xxh3_64_intdigest(site.encode("utf8", "surrogatepass"))
    return [_number(line, seed) for line in text.split("\n")]


def _number(line: str, seed: int) -> int:
    plain = " ".join(line.split())
    if not plain:
        return 0
    plain = NUMBER.sub("0", plain.lower())
    return xxhash.xxh3_64_intdigest(plain.encode("utf8", "surrogatepass"), seed) or 1


def site_of(document: Document, config: RepeatedLines) -> str:
    """The site within which a document's lines are counted."""
    if config.scope == "corpus":
        return ""
    return host_of(document.facts.get("url") or "") or f"source {document.source}"


def of_document(document: Document, config: RepeatedLines) -> Hashes:
    """Hashes of the distinct lines of a document."""
    return np.array(sorted({*numbers(document.text, site_of(document, config))} - {0}), np.uint64)


class Repeated(NamedTuple):
    """The lines to remove."""

    values: Hashes
    """Their hashes, sorted."""
    counts: Hashes
    """Number of documents that have each line."""


def count(files: Sequence[Path], max_documents: int) -> Repeated:
    """Count the lines of more than `max_documents` documents; files: the line hashes of each stretch."""
    total = sum(len(open_keys(path)) for path in files)
    parts = 1
    while total > parts * AT_A_TIME:
        parts *= 2
    values, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for part in range(parts):
        several, often = _counted(files, part, parts)
        values.append(several[often > max_documents])
        counts.append(often[often > max_documents].astype(np.uint64))
    return Repeated(np.concatenate(values), np.concatenate(counts))


def _counted(files: Sequence[Path], part: int, parts: int) -> tuple[Hashes, Hashes]:
    """Sorted hashes of one range, and their counts."""
    bits = np.uint64(64 - (parts.bit_length() - 1))
    found = [np.zeros(0, np.uint64)]
    for path in files:
        all_numbers = open_keys(path)
        found.append(np.asarray(all_numbers if parts == 1 else all_numbers[all_numbers >> bits == part]))
    values, counts = np.unique(np.concatenate(found), return_counts=True)
    return values, counts.astype(np.uint64)


class Block:
    """Removes repeated lines; drops a document that loses too much or keeps too little."""

    name = "repeated_lines"

    def __init__(self, config: RepeatedLines, values: Hashes) -> None:
        self._config, self._values = config, values

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document without these lines, or the reason why it is dropped."""
        config, values, text = self._config, self._values, document.text
        mine = np.array(numbers(text, site_of(document, config)), np.uint64)
        at = np.searchsorted(values, mine)
        known = values[np.minimum(at, len(values) - 1)] == mine if len(values) else np.zeros(len(mine), bool)
        found = lines.without(text, known.tolist()) if known.any() else Removed(text, 0.0)
        dropped = seen.first_failure(lines.figures(self.name, found, config.max_removed, config.min_chars))
        return dropped or (document._replace(text=found.text) if known.any() else document)


def most_frequent(repeated: Repeated, most: int = SHOWN) -> dict[int, int]:
    """The hashes of the lines of most documents, with the number of these."""
    order = np.lexsort((repeated.values, -repeated.counts.astype(np.int64)))[:most]
    return {int(repeated.values[place]): int(repeated.counts[place]) for place in order.tolist()}


def texts_of(documents: Iterable[Document], config: RepeatedLines, wanted: Container[int]) -> dict[int, str]:
    """Texts of the lines with these hashes, as they first occur."""
    found: dict[int, str] = {}
    for document in documents:
        mine = numbers(document.text, site_of(document, config))
        for number, line in zip(mine, document.text.split("\n"), strict=True):
            if number in wanted:
                found.setdefault(number, line.strip())
    return found
