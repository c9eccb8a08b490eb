"""The filters of a recipe in their order, applied to a stretch of documents."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from nlptool.corpus import (
    c4,
    decontaminate,
    extract,
    fineweb,
    gopher,
    language,
    lines,
    links,
    pii,
    quality,
    repair,
    repeated_lines,
    urls,
)
from nlptool.corpus.config import (
    DecontaminationRule,
    Dedup,
    Extract,
    Language,
    Lines,
    Pii,
    Quality,
    Repair,
    RepeatedLines,
    Urls,
)
from nlptool.corpus.decontaminate import Benchmark
from nlptool.corpus.document import Block, Document, Dropped, Figure, Figures, uniform
from nlptool.corpus.filter_config import Filters
from nlptool.corpus.keys_file import open_keys
from nlptool.corpus.minhash import Signatures
from nlptool.corpus.quality import Classifier
from nlptool.corpus.samples import Choice
from nlptool.corpus.statistics import BlockCount, Statistics
from nlptool.corpus.words import words_of
from nlptool.text.word_hashes import Hashes


@dataclass(frozen=True)
class Blocks:
    """All settings of the filters that process single documents, as workers receive them."""

    filters: Filters
    dedup: Dedup
    dropped: float
    """Share of dropped documents that is kept; see `samples.Choice`."""
    seed: int
    urls: Urls | None = None
    links: Hashes | None = None
    """The URLs that links lead to, as `links.keys` returns them."""
    extract: Extract | None = None
    pages: Mapping[str, str] = field(default_factory=dict)
    """Kinds of markup, by source."""
    repair: Repair | None = None
    language: Language | None = None
    lines: Lines | None = None
    quality: Quality | None = None
    classifier: Classifier | None = None
    pii: Pii | None = None
    decontaminate: DecontaminationRule | None = None
    benchmarks: tuple[Benchmark, ...] = ()
    repeated_lines: RepeatedLines | None = None
    """Set: lines are counted, and duplicate keys are computed when repeated lines are removed."""
    repeated: Path | None = None
    """Hashes of repeated lines, once they are known; then removing them is all that is done."""

    @property
    def counts_lines(self) -> bool:
        """Whether this is the first of two passes."""
        return self.repeated_lines is not None and self.repeated is None

    def second(self, repeated: Path) -> "Blocks":
        """The second pass, when the repeated lines are known."""
        return Blocks(
            Filters(),
            self.dedup,
            self.dropped,
            self.seed,
            repeated_lines=self.repeated_lines,
            repeated=repeated,
        )


def blocks(plan: Blocks) -> Iterator[Block]:
    """The filters of the recipe in their order. Raises UsageError where one needs a package that is not installed."""
    filters = plan.filters
    if plan.urls is not None:
        yield urls.Block(plan.urls)
    if plan.links is not None:
        yield links.Block(plan.links)
    if plan.extract is not None:
        yield extract.Block(plan.extract, plan.pages)
    if plan.repair is not None:
        yield repair.Block(plan.repair)
    if plan.language is not None:
        yield language.Block(plan.language)
    if filters.gopher_repetition is not None:
        yield gopher.Repetition(filters.gopher_repetition)
    if filters.gopher_quality is not None:
        yield gopher.Quality(filters.gopher_quality)
    if filters.c4 is not None:
        yield c4.Rules(filters.c4)
    if filters.fineweb is not None:
        yield fineweb.Rules(filters.fineweb)
    if plan.lines is not None:
        yield lines.Block(plan.lines)
    if plan.quality is not None:
        yield quality.Block(plan.quality, plan.classifier, plan.seed)
    if plan.pii is not None:
        yield pii.Block(plan.pii)
    if plan.decontaminate is not None:
        yield decontaminate.Block(plan.decontaminate, plan.benchmarks)
    if plan.repeated_lines is not None and plan.repeated is not None:
        yield repeated_lines.Block(plan.repeated_lines, open_keys(plan.repeated))


@dataclass
class Stretch:
    """The documents kept from a stretch."""

    kept: list[Document] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    """Dropped documents chosen by `samples.Choice`, with the rule and its figure."""
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, 0), np.uint64))
    """[3 + bands, documents]: digest of the words in two parts, number of characters, and a hash for each band."""
    lines: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Hashes of the lines of each document, one document after the other, where lines are counted."""
    statistics: Statistics = field(default_factory=Statistics)


class Passage(NamedTuple):
    """The result of one filter for a document."""

    block: str
    figures: list[Figure]
    """All figures that its rules measured, up to the one that drops the document."""
    dropped: Dropped | None
    document: Document
    """The filter's output."""


class Pipeline:
    """Applies the filters to documents."""

    def __init__(self, plan: Blocks) -> None:
        self._plan = plan
        self._blocks = list(blocks(plan))
        self._counted = plan.repeated_lines if plan.counts_lines else None
        minhash = None if plan.counts_lines else plan.dedup.minhash
        self._signatures = None if minhash is None else Signatures(minhash)

    def __call__(self, documents: Iterable[Document]) -> Stretch:
        """The stretch that is left of these documents, in their order."""
        found, seen = Stretch(), Figures()
        statistics = found.statistics
        statistics.blocks = {block.name: BlockCount() for block in self._blocks}
        keys: list[NDArray[np.uint64]] = []
        counted: list[Hashes] = [found.lines]
        dropped: list[tuple[float, dict[str, Any]]] = []
        for document in documents:
            left = self._through(document, seen, statistics, dropped)
            if left is not None:
                found.kept.append(left)
                keys.append(self._keys(left))
                if self._counted is not None:
                    counted.append(repeated_lines.of_document(left, self._counted))
                statistics.kept += 1
                statistics.kept_bytes += size(left.text)
                statistics.kept_words += len(words_of(left.text))
        found.keys = np.stack(keys, axis=1) if keys else np.zeros((self._height, 0), np.uint64)
        found.lines = np.concatenate(counted)
        statistics.count(seen)
        found.dropped = _chosen(dropped, self._plan.dropped)
        return found

    def trace(self, document: Document) -> Iterator[Passage]:
        """The steps of a document through the filters, up to the one that drops it."""
        for block in self._blocks:
            seen = Figures()
            result = block(document, seen)
            figures = [
                Figure(rule, values[-1], *seen.limits[rule]) for rule, values in seen.values.items() if values
            ]
            if isinstance(result, Dropped):
                yield Passage(block.name, figures, result, document)
                return
            yield Passage(block.name, figures, None, result)
            document = result

    def close(self) -> None:
        """End the processes of filters."""
        for block in self._blocks:
            if isinstance(block, extract.Block):
                block.close()

    def _through(
        self,
        document: Document,
        seen: Figures,
        statistics: Statistics,
        dropped: list[tuple[float, dict[str, Any]]],
    ) -> Document | None:
        """The document after all filters; None where one drops it, which is then added to `dropped`."""
        length = size(document.text)
        for block in self._blocks:
            count = statistics.blocks[block.name]
            count.documents += 1
            count.bytes += length
            result = block(document, seen)
            if isinstance(result, Dropped):
                rule = result.rule
                count.dropped[rule] += 1
                count.dropped_bytes[rule] += length
                if self._plan.dropped:
                    why = {"rule": rule, "value": result.value, "limit": result.limit}
                    dropped.append((uniform(self._plan.seed, document.text), record(document) | why))
                return None
            if result.text is not document.text:
                count.changed += 1
                length = size(result.text)
            document = result
        return document

    @property
    def _height(self) -> int:
        return 3 + (self._signatures.bands if self._signatures else 0)

    def _keys(self, document: Document) -> NDArray[np.uint64]:
        """Duplicate keys: see `Stretch.keys`. A text without words has bands of its own digest."""
        keys = np.empty(self._height, np.uint64)
        words = " ".join(words_of(document.text).words).encode("utf8", "surrogatepass")
        digest = xxhash.xxh3_128_intdigest(words)
        keys[:3] = digest >> 64, digest & (2**64 - 1), len(document.text)
        if self._signatures is not None:
            bands = self._signatures(document.text)
            keys[3:] = keys[0] if bands is None else bands
        return keys


def _chosen(dropped: list[tuple[float, dict[str, Any]]], share: float) -> list[dict[str, Any]]:
    choice = Choice(share)
    for place, (number, one) in enumerate(dropped):
        choice.offer(one["rule"], number, place)
    return [one for place, (number, one) in enumerate(dropped) if choice.has(one["rule"], number, place)]


def record(document: Document) -> dict[str, Any]:
    """A document as a record of a file."""
    return {"id": document.id, "text": document.text, "source": document.source, **document.facts}


def document_of(written: dict[str, Any]) -> Document:
    """The document of a record."""
    facts = {key: value for key, value in written.items() if key not in ("id", "text", "source")}
    return Document(written["id"], written["source"], written["text"], facts)


def size(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf8", "surrogatepass"))
