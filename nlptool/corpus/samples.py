"""Samples of dropped documents for inspection: a share of them, and at least a few for each rule, chosen by hash.

A document's number depends on its text and the seed, so a sample does not depend on how the input was cut.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlptool.corpus import records_file
from nlptool.corpus.document import uniform
from nlptool.manifests import safe_filename

LEAST = 20  # smallest number of documents kept for each rule


class Choice:
    """Chooses dropped documents: those with a number below a share, and the LEAST lowest ones of each rule."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._below: defaultdict[str, int] = defaultdict(int)
        self._lowest: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        self._places: dict[str, frozenset[int]] | None = None

    def offer(self, rule: str, number: float, place: int) -> None:
        """Consider a document. number: from `uniform`. place: identifies it among those of its rule; ascending."""
        if not self._share:
            return
        if number < self._share:
            self._below[rule] += 1
            return
        heap = self._lowest[rule]  # a heap of negated numbers has the largest first
        if len(heap) < LEAST:
            heapq.heappush(heap, (-number, -place))
        elif (-number, -place) > heap[0]:
            heapq.heapreplace(heap, (-number, -place))

    def has(self, rule: str, number: float, place: int) -> bool:
        """Whether a document was chosen; call it after all have been offered."""
        if number < self._share:
            return True
        if self._places is None:
            self._places = {
                name: frozenset(
                    -at for _, at in sorted(heap, reverse=True)[: max(LEAST - self._below[name], 0)]
                )
                for name, heap in self._lowest.items()
            }
        return place in self._places.get(rule, ())


def of_rule(folder: Path, rule: str, seed: int, most: int) -> list[dict[str, Any]]:
    """Documents of dropped/ that a rule dropped: the first `most` by their numbers."""
    path = folder / "dropped" / f"{safe_filename(rule)}.jsonl.zst"
    return heapq.nsmallest(most, _read(path), key=lambda one: uniform(seed, one["text"]))


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from records_file.read(path)
