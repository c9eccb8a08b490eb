"""Which questions stood in the training text: by runs of N words that both have (Brown et al. 2020, appendix C).

Words are lower-cased and without punctuation. N is the 5th percentile of the questions' lengths in words, at least 8
and at most 13; of rows that a rule makes at least 2. A question is dirty if a training document has any of its runs.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SIGNS = re.compile(r"[^\w\s]|_")
LEAST, MOST, LEAST_MADE = 8, 13, 2
FACTOR = 0x9E3779B97F4A7C15  # odd, so that no word's place is lost modulo 2^64

Hashes = NDArray[np.uint64]


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, without punctuation."""
    return SIGNS.sub("", text.lower()).split()


def run_length(texts: Sequence[str], *, made: bool) -> int:
    """N for these questions."""
    lengths = sorted(len(words(text)) for text in texts)
    percentile = lengths[int(0.05 * (len(lengths) - 1))] if lengths else MOST
    return min(MOST, max(LEAST_MADE if made else LEAST, percentile))


class Search:
    """The runs of questions, looked for in document after document."""

    def __init__(self, texts: Sequence[str], n: int) -> None:
        self.n = n
        runs = [_runs(_hashes(text), n) for text in texts]
        self._known, places = np.unique(np.concatenate([*runs, np.empty(0, np.uint64)]), return_inverse=True)
        ends = np.cumsum([0, *map(len, runs)])
        self._places = [places[begin:end] for begin, end in pairwise(ends.tolist())]
        self._found = np.zeros(len(self._known), bool)

    def look(self, document: str) -> None:
        """Note which runs a document has."""
        self.look_at(_hashes(document))

    def look_at(self, hashes: Hashes) -> None:
        """The same, of the hashes of a document's words."""
        if len(self._known):
            runs = _runs(hashes, self.n)
            at = np.minimum(np.searchsorted(self._known, runs), len(self._known) - 1)
            self._found[at[self._known[at] == runs]] = True

    @property
    def dirty(self) -> list[bool]:
        """Of each question, whether a document had one of its runs."""
        return [bool(self._found[places].any()) for places in self._places]


def dirty(
    tasks: Sequence[Sequence[str]], made: Sequence[bool], documents: Iterable[str]
) -> Iterator[tuple[int, list[bool]]]:
    """For each task N, and of each of its questions whether it is dirty; documents are read once for all."""
    searches = [Search(texts, run_length(texts, made=rule)) for texts, rule in zip(tasks, made, strict=True)]
    for document in documents:
        hashes = _hashes(document)
        for search in searches:
            search.look_at(hashes)
    for search in searches:
        yield search.n, search.dirty


def _hashes(text: str) -> Hashes:
    """A hash for each word; those of one process compare."""
    found = words(text)
    return np.fromiter(map(hash, found), np.int64, len(found)).view(np.uint64)


def _runs(hashes: Hashes, n: int) -> Hashes:
    """A hash for each run of n words."""
    count = max(0, len(hashes) - n + 1)
    runs = np.zeros(count, np.uint64)
    for at in range(n):
        runs = runs * np.uint64(FACTOR) + hashes[at : at + count]
    return runs
