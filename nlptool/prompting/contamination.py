"""Contamination: which instances overlap with a training text by N-grams of words (Brown et al. 2020, appendix C).

Words are lower-cased and without punctuation. N is the 5th percentile of the instances' lengths in words, at least 8
and at most 13; for synthetic rows at least 2. An instance is dirty if a training document has any of its N-grams.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.prompting.requests import TaskRun

if TYPE_CHECKING:
    from nlptool.text.store import TokenStore

PUNCTUATION = re.compile(r"[^\w\s]|_")
LEAST, MOST, LEAST_SYNTHETIC = 8, 13, 2
FACTOR = 0x9E3779B97F4A7C15  # odd, so that no word's place is lost modulo 2^64

Hashes = NDArray[np.uint64]


class Contamination(NamedTuple):
    """Which instances of a task overlap with a training text."""

    n: int
    """Words of an N-gram."""
    dirty: list[bool]
    """Of each instance."""


def search_tasks(runs: Sequence[TaskRun], documents: Iterable[str]) -> list[Contamination]:
    """The contamination of each task; documents are read once for all."""
    searches = []
    for run in runs:
        texts = [instance.demonstration for instance in run.instances]
        synthetic = run.task.source is not None and run.task.source.synthetic is not None
        searches.append(Search(texts, ngram_size(texts, synthetic=synthetic)))
    for document in documents:
        hashes = _hashes(document)
        for search in searches:
            search.add_hashes(hashes)
    return [Contamination(search.n, search.dirty) for search in searches]


def training_documents(store: "TokenStore") -> Iterator[str]:
    """The training documents of a token store, as text."""
    from nlptool.text.tokenizer import Tokenizer

    tokenizer, split = Tokenizer.of_store(store), store.split("train")
    for number in range(len(split)):
        yield tokenizer.decode([token for ids in split.document(number) for token in ids.tolist()])


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, without punctuation."""
    return PUNCTUATION.sub("", text.lower()).split()


def ngram_size(texts: Sequence[str], *, synthetic: bool) -> int:
    """N for these instances."""
    lengths = sorted(len(words(text)) for text in texts)
    percentile = lengths[int(0.05 * (len(lengths) - 1))] if lengths else MOST
    return min(MOST, max(LEAST_SYNTHETIC if synthetic else LEAST, percentile))


class Search:
    """The N-grams of instances, searched in document after document."""

    def __init__(self, texts: Sequence[str], n: int) -> None:
        self.n = n
        ngrams = [_ngrams(_hashes(text), n) for text in texts]
        self._known, places = np.unique(
            np.concatenate([*ngrams, np.empty(0, np.uint64)]), return_inverse=True
        )
        ends = np.cumsum([0, *map(len, ngrams)])
        self._places = [places[start:end] for start, end in pairwise(ends.tolist())]
        self._found = np.zeros(len(self._known), bool)

    def add(self, document: str) -> None:
        """Mark the N-grams that a document has."""
        self.add_hashes(_hashes(document))

    def add_hashes(self, hashes: Hashes) -> None:
        """The same, for the hashes of a document's words."""
        if len(self._known):
            ngrams = _ngrams(hashes, self.n)
            at = np.minimum(np.searchsorted(self._known, ngrams), len(self._known) - 1)
            self._found[at[self._known[at] == ngrams]] = True

    @property
    def dirty(self) -> list[bool]:
        """Whether a document had one of an instance's N-grams, for each instance."""
        return [bool(self._found[places].any()) for places in self._places]


def _hashes(text: str) -> Hashes:
    """A hash for each word; hashes of one process compare."""
    known = words(text)
    return np.fromiter(map(hash, known), np.int64, len(known)).view(np.uint64)


def _ngrams(hashes: Hashes, n: int) -> Hashes:
    """A hash for each N-gram of words."""
    count = max(0, len(hashes) - n + 1)
    ngrams = np.zeros(count, np.uint64)
    for at in range(n):
        ngrams = ngrams * np.uint64(FACTOR) + hashes[at : at + count]
    return ngrams
