"""The second phase: deduplication.

Documents are processed in order of preference (the longest first, or in the order of the input). One is dropped if a
kept document has the same words, or shares a band with it and, with `verify`, has at least that Jaccard similarity
of shingles. So every dropped document resembles a kept one; datatrove and others drop whole connected components,
and with them documents that resemble nothing that stays. Documents of other corpora come first and are always kept.

Memory: one key of all documents at a time, 8 bytes each plus as many for sorting; shingles of candidates are on
disk.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nlptool.corpus import records_file
from nlptool.corpus.config import Dedup
from nlptool.corpus.engine import KEPT, KEYS
from nlptool.corpus.keys_file import open_keys
from nlptool.corpus.minhash import jaccard, shingles
from nlptool.text.word_hashes import Hashes

FIRST = np.int64(1) << 62  # sort key of documents that precede all others
HEAD = 3  # rows of keys before the bands: the digest in two parts, the length
MOST_COMPARED = 64  # kept documents that a candidate is compared with, those sharing most bands first
BINS = [place / 50 for place in range(51)]


class Why(NamedTuple):
    """The reason why a duplicate is dropped."""

    of: int
    """Number of the kept document; below 0: one of another corpus, counted from the end of those."""
    exact: bool
    similarity: float | None
    """Jaccard similarity of their shingles; None where it was not computed."""


@dataclass
class Duplicates:
    """The duplicates. Documents are numbered through all stretches."""

    dropped: dict[int, Why]
    compared: int
    """Pairs whose similarity was computed."""

    def copies(self) -> Counter[int]:
        """Number of dropped duplicates of each kept document."""
        return Counter(why.of for why in self.dropped.values() if why.of >= 0)


class Part(Protocol):
    """Documents with their keys."""

    keys: Path

    def __len__(self) -> int:
        """Number of documents."""
        ...

    def records(self) -> Iterator[dict[str, Any]]:
        """The documents, in the order of the keys."""
        ...


class StretchPart:
    """The documents kept from a stretch."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.keys = folder, folder / KEYS

    def __len__(self) -> int:
        """Number of documents."""
        return int(open_keys(self.keys).shape[1])

    @property
    def source(self) -> str:
        """The source of its documents; empty if it has none."""
        return str(next((record["source"] for record in self.records()), ""))

    def records(self) -> Iterator[dict[str, Any]]:
        """The documents, in the order of the keys."""
        return records_file.read(self._folder / KEPT)


class Keys:
    """Duplicate keys of all documents, read one row at a time."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.sizes = [open_keys(part.keys).shape[1] for part in parts]
        self.starts = np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def row(self, number: int) -> Hashes:
        """One key of every document."""
        found = np.empty(len(self), np.uint64)
        for part, start, size in zip(self.parts, self.starts.tolist(), self.sizes, strict=False):
            found[start : start + size] = open_keys(part.keys)[number]
        return found


def find(
    folders: Sequence[Path],
    config: Dedup,
    aside: Path,
    progress: Callable[[float], None],
    against: Sequence[Part] = (),
) -> Duplicates:
    """Find the duplicates among the documents of these stretches and those of other corpora, `against`.

    aside: a folder for the shingles of candidates. progress: called with the number of documents read.
    """
    keys = Keys([*against, *map(StretchPart, folders)])
    found = Duplicates({}, 0)
    others = int(keys.starts[len(against)])
    if len(keys) == others:
        return found
    lengths = keys.row(2).astype(np.int64) if config.keep == "longest" else np.zeros(len(keys), np.int64)
    lengths[:others] = FIRST
    if config.exact:
        _exact(keys, lengths, others, found)
    if config.minhash is not None:
        _near(keys, lengths, others, config, aside, found, progress)
    found.dropped = {
        number - others: why._replace(of=why.of - others) for number, why in found.dropped.items()
    }
    return found


def _exact(keys: Keys, lengths: NDArray[np.int64], others: int, found: Duplicates) -> None:
    """All but the preferred document of each digest, except those of other corpora."""
    high = keys.row(0)
    several = _shared(high)
    places = np.flatnonzero(several)
    high, low = high[places], keys.row(1)[places]
    order = np.lexsort((places, -lengths[places], low, high))
    places, high, low = places[order], high[order], low[order]
    first = 0
    for at in range(1, len(places)):
        if high[at] == high[first] and low[at] == low[first]:
            if places[at] >= others:
                found.dropped[int(places[at])] = Why(int(places[first]), True, 1.0)
        else:
            first = at


def _shared(values: Hashes) -> NDArray[np.bool_]:
    """Which values occur more than once."""
    order = np.argsort(values)
    ranked = values[order]
    same = np.zeros(len(values) + 1, bool)
    same[1:-1] = ranked[1:] == ranked[:-1]
    found = np.zeros(len(values), bool)
    found[order] = same[1:] | same[:-1]
    return found


def _near(
    keys: Keys,
    lengths: NDArray[np.int64],
    others: int,
    config: Dedup,
    aside: Path,
    found: Duplicates,
    progress: Callable[[float], None],
) -> None:
    """Near duplicates among the documents that are left."""
    minhash = config.minhash
    assert minhash is not None
    left = np.ones(len(keys), bool)
    left[list(found.dropped)] = False
    candidates = np.zeros(len(keys), bool)
    for band in range(minhash.bands):
        values = keys.row(HEAD + band)
        candidates[left] |= _shared(values[left])
    places = np.flatnonzero(candidates)
    if not len(places):
        return
    digests, table = keys.row(0)[places], np.empty((minhash.bands, len(places)), np.uint64)
    for band in range(minhash.bands):
        table[band] = keys.row(HEAD + band)[places]
    sets = None if minhash.verify is None else _Sets(aside, keys, places, minhash.ngram)
    ties = places if config.keep == "first" else digests  # the order of files matters for `first` alone
    order = np.lexsort((places, ties, -lengths[places]))
    several = np.stack([_shared(values) for values in table])  # the others need not be remembered
    kept: list[dict[int, list[int]]] = [{} for _ in range(minhash.bands)]
    for step, one in enumerate(order.tolist()):
        if step % 1000 == 0:
            progress(step)
        bands = np.flatnonzero(several[:, one])
        buckets = list(zip(bands.tolist(), table[bands, one].tolist(), strict=True))
        met = Counter(other for band, value in buckets for other in kept[band].get(value, ()))
        for other, _ in met.most_common(MOST_COMPARED) if places[one] >= others else ():
            similarity = None
            if sets is not None and minhash.verify is not None:
                similarity = jaccard(sets[one], sets[other])
                found.compared += 1
                if similarity < minhash.verify:
                    continue
            found.dropped[int(places[one])] = Why(int(places[other]), False, similarity)
            break
        else:
            for band, value in buckets:
                kept[band].setdefault(value, []).append(one)
    progress(len(places))


class _Sets:
    """Sorted sets of shingles of candidates, in a memory-mapped file."""

    def __init__(self, aside: Path, keys: Keys, places: NDArray[np.int64], ngram: int) -> None:
        path = aside / "shingles.bin"
        ends = [0]
        bounds = np.searchsorted(places, keys.starts).tolist()
        with path.open("wb") as file:
            for number, part in enumerate(keys.parts):
                wanted = set((places[bounds[number] : bounds[number + 1]] - keys.starts[number]).tolist())
                if not wanted:
                    continue
                for place, record in enumerate(part.records()):
                    if place in wanted:
                        one = np.unique(shingles(record["text"], ngram))
                        file.write(one.tobytes())
                        ends.append(ends[-1] + len(one))
        self._ends = ends
        self._values: Hashes = np.memmap(path, np.uint64, "r") if ends[-1] else np.zeros(0, np.uint64)

    def __getitem__(self, number: int) -> Hashes:
        return self._values[self._ends[number] : self._ends[number + 1]]
