"""Statistics of a corpus: documents and bytes in and out of each filter, by rule, and histograms of the figures.

Those of stretches are added up; the sum does not depend on how the input was cut or in what order it was read.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from nlptool.corpus.document import Figures

SHARES = [place / 50 for place in range(51)]
DECADE = (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8)  # preferred numbers (ISO 3, R10)
COUNTS = [0.0, *(round(10.0**power * one, 2) for power in range(7) for one in DECADE), 1e7]


def edges(limits: tuple[float | None, float | None]) -> list[float]:
    """Bounds of the bins of a figure's histogram, by the size of its limit; the last bin is open.

    A bin begins at a limit, too, so that its documents are all kept or all dropped.
    """
    usual = SHARES if all(limit is None or limit <= 1 for limit in limits) else COUNTS
    least, most = limits
    own = ([] if least is None else [least]) + ([] if most is None else [math.nextafter(most, math.inf)])
    return sorted({*usual, *own})


@dataclass
class Histogram:
    """Histogram of a figure over documents."""

    at_least: float | None
    at_most: float | None
    counts: list[int]
    """For each bin of `edges`; the last one is open."""

    def add(self, other: "Histogram") -> None:
        """Add another histogram of the same figure."""
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]


@dataclass
class BlockCount:
    """Counts of one filter."""

    documents: int = 0
    bytes: int = 0
    """Size of the text in UTF-8."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Documents by rule."""
    dropped_bytes: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    """Documents whose text the filter has changed."""


@dataclass
class Statistics:
    """The filters in their order, and the figures of their rules."""

    blocks: dict[str, BlockCount] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    kept: int = 0
    kept_bytes: int = 0
    kept_words: int = 0

    def count(self, figures: Figures) -> None:
        """Add figures to the histograms."""
        for rule, values in figures.values.items():
            limits = figures.limits[rule]
            bins = edges(limits)
            places = np.searchsorted(bins, np.asarray(values), side="right") - 1
            counts = np.bincount(np.clip(places, 0, len(bins) - 1), minlength=len(bins))
            found = Histogram(*limits, counts.tolist())
            if rule in self.histograms:
                self.histograms[rule].add(found)
            else:
                self.histograms[rule] = found

    def add(self, other: "Statistics") -> None:
        """Add the statistics of another stretch."""
        for name, more in other.blocks.items():
            mine = self.blocks.setdefault(name, BlockCount())
            mine.documents += more.documents
            mine.bytes += more.bytes
            mine.changed += more.changed
            mine.dropped.update(more.dropped)
            mine.dropped_bytes.update(more.dropped_bytes)
        for rule, histogram in other.histograms.items():
            if rule in self.histograms:
                self.histograms[rule].add(histogram)
            else:
                self.histograms[rule] = histogram
        self.kept += other.kept
        self.kept_bytes += other.kept_bytes
        self.kept_words += other.kept_words

    def followed_by(self, later: Self) -> Self:
        """Statistics with the filters of a later pass over the same documents."""
        kept = (later.kept, later.kept_bytes, later.kept_words)
        return type(self)(self.blocks | later.blocks, self.histograms | later.histograms, *kept)

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        blocks = {
            name: {
                **vars(block),
                "dropped": dict(sorted(block.dropped.items())),
                "dropped_bytes": dict(sorted(block.dropped_bytes.items())),
            }
            for name, block in self.blocks.items()
        }
        histograms = {rule: vars(histogram) for rule, histogram in self.histograms.items()}
        kept = {"documents": self.kept, "bytes": self.kept_bytes, "words": self.kept_words}
        return {"kept": kept, "blocks": blocks, "histograms": histograms}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read the result of `to_json`. Raises KeyError or TypeError for anything else."""
        blocks = {}
        for name, block in value["blocks"].items():
            dropped = {key: Counter(block[key]) for key in ("dropped", "dropped_bytes")}
            blocks[name] = BlockCount(**(block | dropped))
        histograms = {rule: Histogram(**histogram) for rule, histogram in value["histograms"].items()}
        kept = value["kept"]
        return cls(blocks, histograms, kept["documents"], kept["bytes"], kept["words"])
