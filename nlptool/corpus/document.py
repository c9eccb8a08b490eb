"""Documents, and the rules that drop them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol


class Document(NamedTuple):
    """A text with its provenance."""

    id: str
    """Its place in the source: `crawl/a.jsonl.gz:41`."""
    source: str
    """Name of the source in the recipe."""
    text: str
    facts: dict[str, Any]
    """Further fields that are written beside it: url, date."""


class Figure(NamedTuple):
    """A figure that a rule measured on a document, and its limits."""

    rule: str
    value: float
    at_least: float | None
    at_most: float | None

    @property
    def passes(self) -> bool:
        """Whether it is within the limits, which are inclusive."""
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)


class Dropped(NamedTuple):
    """Why a document is dropped."""

    rule: str
    """`gopher_quality.min_words`: the block and its key in the recipe."""
    value: float
    limit: float | None


class Figures:
    """Figures of all documents that reached a rule, until they are counted."""

    def __init__(self) -> None:
        self.values: defaultdict[str, list[float]] = defaultdict(list)
        self.limits: dict[str, tuple[float | None, float | None]] = {}

    def first_failure(self, figures: Iterator[Figure]) -> Dropped | None:
        """Record figures up to the first one beyond its limits, and return that as the reason to drop; None: keep."""
        for rule, value, least, most in figures:
            self.values[rule].append(value)
            if rule not in self.limits:
                self.limits[rule] = (least, most)
            if least is not None and value < least:
                return Dropped(rule, value, least)
            if most is not None and value > most:
                return Dropped(rule, value, most)
        return None


class Block(Protocol):
    """A filter or transformation: a pure function of a document. `seen` records the figures."""

    name: str

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document, changed or not, or the reason why it is dropped."""
        ...


def uniform(seed: int, text: str, purpose: bytes = b"") -> float:
    """A number in [0, 1) derived from a text and a seed, independent of process and order.

    purpose: separates draws that must be independent.
    """
    salt = seed.to_bytes(8, "little")
    digest = hashlib.blake2b(text.encode("utf8", "surrogatepass"), digest_size=8, salt=salt, person=purpose)
    return int.from_bytes(digest.digest(), "big") / 2**64
