"""A part of a corpus that stands for all of it."""

import heapq
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PIECE = 1 << 16  # characters
PIECE_END = re.compile(r"\s(?=\S)")


@dataclass
class CorpusSample:
    """An even sample of texts, at most `budget` characters."""

    budget: int
    seen: int = 0
    """Characters of the corpus."""
    kept: int = 0
    """Characters of the sample."""

    def draw(self, texts: Iterable[str]) -> list[str]:
        """Read all texts; return the sample in their order. Memory is that of the budget.

        Texts are cut into pieces of 65,536 characters, each gets a random number, and those with the smallest
        numbers stay: a piece's chance does not depend on where it stands, and the same corpus gives the same
        sample.
        """
        rng = random.Random(0)
        heap: list[tuple[float, int, str]] = []
        for index, piece in enumerate(piece for text in texts for piece in _pieces(text)):
            self.seen += len(piece)
            heapq.heappush(heap, (-rng.random(), index, piece))
            self.kept += len(piece)
            while self.kept > self.budget and len(heap) > 1:
                self.kept -= len(heapq.heappop(heap)[2])
        return [piece for _, _, piece in sorted(heap, key=lambda entry: entry[1])]


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > PIECE:
        end = PIECE_END.search(text, start + PIECE, start + 2 * PIECE)
        stop = end.start() if end else start + PIECE
        yield text[start:stop]
        start = stop
    yield text[start:] if start else text
