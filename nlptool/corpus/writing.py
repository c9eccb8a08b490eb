"""The third phase: writes the kept documents, samples of dropped ones, and the report."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool.corpus import mix, records_file
from nlptool.corpus.config import Output
from nlptool.corpus.document import uniform
from nlptool.corpus.duplicates import BINS, Duplicates, Part, Why
from nlptool.corpus.engine import DROPPED, KEPT
from nlptool.corpus.pipeline import size
from nlptool.corpus.samples import Choice
from nlptool.corpus.stretches import FACTS
from nlptool.corpus.urls import host_of
from nlptool.manifests import safe_filename

COLUMNS = {
    "id": "string",
    "text": "string",
    "source": "string",
    **dict.fromkeys(FACTS, "string"),
    "language_score": "float64",
    "quality_score": "float64",
    "copies": "int64",
}
MAX_HOSTS = 100_000  # documents counted at a time


@dataclass
class Written:
    """What was written, and what deduplication dropped."""

    documents: Counter[str] = field(default_factory=Counter)
    """By source."""
    bytes: Counter[str] = field(default_factory=Counter)
    """Size of the text in bytes, by source."""
    left_out_words: int = 0
    """Words of documents that entered and are not written; usually few."""
    entered: int = 0
    """Documents that reached deduplication."""
    entered_bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """By `dedup.exact`, `dedup.minhash` and `dedup.against`."""
    dropped_bytes: Counter[str] = field(default_factory=Counter)
    mixed_out: int = 0
    """Documents left out for the shares of sources."""
    mixed_out_bytes: int = 0
    domains: Counter[str] = field(default_factory=Counter)
    """Documents by host; hosts with a document or two are dropped where there are more than MAX_HOSTS."""
    languages: Counter[str] = field(default_factory=Counter)
    """Documents by the result of the filter `language`."""
    files: list[str] = field(default_factory=list)
    """Names of the files, in the order of writing."""
    similarities: list[int] = field(default_factory=lambda: [0] * len(BINS))
    """Near duplicates by similarity to the kept document, for each bin of BINS."""


class _Files:
    """Numbered files of a source, each closed when it holds enough text."""

    def __init__(self, folder: Path, output: Output) -> None:
        self._folder, self._output = folder, output
        self._columns = COLUMNS if output.format == "parquet" else None
        self.names: list[str] = []
        """Files, in the order in which they were opened."""
        self._source = ""
        self._number = self._size = 0
        self._open: ExitStack | None = None
        self._writer: records_file.JsonLines | records_file.Parquet | None = None

    def write(self, record: dict[str, Any], length: int) -> None:
        """Append a record of `length` bytes of text."""
        if record["source"] != self._source:
            self.close()
            self._source, self._number = record["source"], 0
        if self._writer is None:
            self._open = ExitStack()
            name = f"{self._source}-{self._number:05d}.{self._output.format}"
            self.names.append(name)
            self._writer = self._open.enter_context(records_file.opened(self._folder / name, self._columns))
        self._writer.write(record)
        self._size += length
        if self._size >= self._output.file_mb * 10**6:
            self.close()
            self._number += 1

    def close(self) -> None:
        """Close the current file."""
        if self._open is not None:
            self._open.close()
        self._open = self._writer = None
        self._size = 0


def rule_of(why: Why) -> str:
    """The rule that dropped a duplicate."""
    return "dedup.against" if why.of < 0 else "dedup.exact" if why.exact else "dedup.minhash"


def write_data(
    folder: Path,
    stretches: Sequence[Path],
    duplicates: Duplicates,
    left: NDArray[np.bool_],
    output: Output,
    progress: Callable[[float], None],
) -> Written:
    """Write the kept documents into `folder`, in the order of the input; `copies`: dropped duplicates of each
    document.

    left: which documents stay; the others are duplicates or were removed for the shares of sources.
    """
    written, copies = Written(), duplicates.copies()
    files = _Files(folder, output)
    try:
        for number, record in enumerate(_kept(stretches)):
            length = size(record["text"])
            written.entered += 1
            written.entered_bytes += length
            why = duplicates.dropped.get(number)
            if why is not None:
                _count(written, why, length)
            elif not left[number]:
                written.mixed_out += 1
                written.mixed_out_bytes += length
            if why is not None or not left[number]:
                written.left_out_words += len(record["text"].split())
                continue
            if number in copies:
                record["copies"] = copies[number]
            files.write(record, length)
            written.documents[record["source"]] += 1
            written.bytes[record["source"]] += length
            _describe(written, record)
            if number % 1000 == 0:
                progress(written.entered_bytes)
    finally:
        files.close()
    progress(written.entered_bytes)
    written.files = files.names
    return written


def _describe(written: Written, record: dict[str, Any]) -> None:
    """Count a document's host and language."""
    if (url := record.get("url")) and (host := host_of(url)):
        written.domains[host] += 1
        if len(written.domains) > MAX_HOSTS:
            written.domains = Counter({host: count for host, count in written.domains.items() if count > 2})
    if language := record.get("language"):
        written.languages[language] += 1


def _count(written: Written, why: Why, length: int) -> None:
    rule = rule_of(why)
    written.dropped[rule] += 1
    written.dropped_bytes[rule] += length
    if not why.exact and why.similarity is not None:
        written.similarities[min(int(why.similarity * 50), 50)] += 1


def _kept(stretches: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for folder in stretches:
        yield from records_file.read(folder / KEPT)


def write_dropped(
    folder: Path,
    stretches: Sequence[Path],
    duplicates: Duplicates,
    left: NDArray[np.bool_],
    share: float,
    seed: int,
    against: Sequence[Part] = (),
) -> None:
    """Write the samples that `samples.Choice` chooses of dropped documents: a file for each rule, with figure and
    limit.

    against: the other corpora of deduplication.
    """
    if not share:
        return
    choice = Choice(share)
    for place, one in enumerate(_all_dropped(stretches, duplicates, left)):
        choice.offer(one["rule"], uniform(seed, one["text"]), place)
    ids: dict[int, str] = {}
    wanted = {why.of for why in duplicates.dropped.values()}
    for number, record in enumerate(_kept(stretches) if wanted else ()):
        if number in wanted:
            ids[number] = record["id"]
    if any(of < 0 for of in wanted):
        _name_others(ids, wanted, against)
    with ExitStack() as opened:
        writers: dict[str, records_file.JsonLines | records_file.Parquet] = {}
        for place, one in enumerate(_all_dropped(stretches, duplicates, left)):
            rule = one["rule"]
            if not choice.has(rule, uniform(seed, one["text"]), place):
                continue
            if rule not in writers:
                path = folder / f"{safe_filename(rule)}.jsonl.zst"
                writers[rule] = opened.enter_context(records_file.opened(path))
            if (of := one.pop("of", None)) is not None:
                one["duplicate_of"] = ids[of]
            writers[rule].write(one)


def _name_others(ids: dict[int, str], wanted: set[int], against: Sequence[Part]) -> None:
    """Add the ids of documents of other corpora to `ids`."""
    first = -sum(len(part) for part in against)
    for part in against:
        for number, record in enumerate(part.records(), start=first):
            if number in wanted:
                ids[number] = record["id"]
        first += len(part)


def _all_dropped(
    stretches: Sequence[Path], duplicates: Duplicates, left: NDArray[np.bool_]
) -> Iterator[dict[str, Any]]:
    """Dropped documents of the stretches, then duplicates and documents removed by mixing, in the order of the
    input.

    `of`: the number of the kept document of a duplicate.
    """
    for stretch in stretches:
        yield from records_file.read(stretch / DROPPED)
    for number, record in enumerate(() if left.all() else _kept(stretches)):
        why = duplicates.dropped.get(number)
        if why is not None:
            yield record | {"rule": rule_of(why), "value": why.similarity, "of": why.of}
        elif not left[number]:
            yield record | {"rule": mix.RULE, "value": None}
