"""Removes benchmarks from a text, as for GPT-3 (Brown et al. 2020, appendix C).

Around each N-gram that a text shares with a benchmark some characters are cut on both sides; short remaining pieces
are dropped, and so are documents with too many cuts. Two departures: the pieces stay one document, with a blank line
at each cut, and frequent N-grams are cut like others.
"""

from typing import NamedTuple

import numpy as np

from nlptool.corpus.config import DecontaminationRule
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.text.ngram_overlap import among, hashes, ngram_size, ngrams, spans
from nlptool.text.word_hashes import Hashes


class Benchmark(NamedTuple):
    """Sorted N-grams of a task's instances."""

    n: int
    known: Hashes


def benchmark(texts: list[str], *, synthetic: bool = False) -> Benchmark:
    """The N-grams of these instances, with the N that `prompt` uses to search a training text."""
    n = ngram_size(texts, synthetic=synthetic)
    grams = [ngrams(hashes(text), n) for text in texts]
    return Benchmark(n, np.unique(np.concatenate([*grams, np.zeros(0, np.uint64)])))


class Block:
    """Cuts N-grams shared with benchmarks."""

    name = "decontaminate"

    def __init__(self, rule: DecontaminationRule, benchmarks: tuple[Benchmark, ...]) -> None:
        self._rule = rule
        by_n = {one.n: [other.known for other in benchmarks if other.n == one.n] for one in benchmarks}
        self._known = {n: np.unique(np.concatenate(known)) for n, known in by_n.items()}

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The rest of the document, or the reason why it is dropped."""
        text, found = document.text, hashes(document.text)
        hits = {n: np.flatnonzero(among(ngrams(found, n), known)) for n, known in self._known.items()}
        if not any(map(len, hits.values())):
            return document
        places = spans(text)
        cuts = sorted(
            (places[at][0] - self._rule.window, places[at + n - 1][1] + self._rule.window)
            for n, found_at in hits.items()
            for at in found_at.tolist()
        )
        pieces, end = [], 0
        for first, last in cuts:
            if first > end:
                pieces.append(text[end:first])
            end = max(end, last)
        pieces.append(text[end:])
        if len(pieces) > self._rule.max_pieces:
            return Dropped("decontaminate.max_pieces", len(pieces), self._rule.max_pieces)
        left = [piece.strip() for piece in pieces if len(piece.strip()) >= max(self._rule.min_piece, 1)]
        if not left:
            longest = max(len(piece.strip()) for piece in pieces)
            return Dropped("decontaminate.min_piece", longest, self._rule.min_piece)
        return document._replace(text="\n\n".join(left))
