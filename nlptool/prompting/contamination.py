"""Contamination: which instances overlap with a training text by N-grams of words (Brown et al. 2020, appendix C).

Words are in lower case without punctuation. N is the 5th percentile of the instances' lengths in words, between 8
and 13; for synthetic rows at least 2. An instance is dirty if a training document has any of its N-grams.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nlptool.prompting.requests import TaskRun
from nlptool.text.ngram_overlap import hashes, ngram_size, ngrams
from nlptool.text.word_hashes import Hashes

if TYPE_CHECKING:
    from nlptool.text.store import TokenStore


class Contamination(NamedTuple):
    """Which instances of a task overlap with a training text."""

    n: int
    """Words of an N-gram."""
    dirty: list[bool]
    """Whether each instance overlaps."""


def search_tasks(runs: Sequence[TaskRun], documents: Iterable[str]) -> list[Contamination]:
    """The contamination of each task; the documents are read once."""
    searches = []
    for run in runs:
        texts = [instance.fewshot_example for instance in run.instances]
        synthetic = run.task.source is not None and run.task.source.synthetic is not None
        searches.append(Search(texts, ngram_size(texts, synthetic=synthetic)))
    for document in documents:
        found = hashes(document)
        for search in searches:
            search.add_hashes(found)
    return [Contamination(search.n, search.dirty) for search in searches]


def training_documents(store: "TokenStore") -> Iterator[str]:
    """The training documents of a token store, as text."""
    from nlptool.text.tokenizer import Tokenizer

    tokenizer, split = Tokenizer.of_store(store), store.split("train")
    for number in range(len(split)):
        yield tokenizer.decode([token for ids in split.document(number) for token in ids.tolist()])


class Search:
    """Searches the N-grams of instances in documents."""

    def __init__(self, texts: Sequence[str], n: int) -> None:
        self.n = n
        grams = [ngrams(hashes(text), n) for text in texts]
        self._known, places = np.unique(np.concatenate([*grams, np.empty(0, np.uint64)]), return_inverse=True)
        ends = np.cumsum([0, *map(len, grams)])
        self._places = [places[start:end] for start, end in pairwise(ends.tolist())]
        self._found = np.zeros(len(self._known), bool)

    def add(self, document: str) -> None:
        """Mark the N-grams of a document."""
        self.add_hashes(hashes(document))

    def add_hashes(self, word_hashes: Hashes) -> None:
        """The same, for the hashes of a document's words."""
        if len(self._known):
            grams = ngrams(word_hashes, self.n)
            at = np.minimum(np.searchsorted(self._known, grams), len(self._known) - 1)
            self._found[at[self._known[at] == grams]] = True

    @property
    def dirty(self) -> list[bool]:
        """Whether any document had one of an instance's N-grams, for each instance."""
        return [bool(self._found[places].any()) for places in self._places]
