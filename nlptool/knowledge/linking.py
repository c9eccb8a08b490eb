"""Entity linking: mentions from annotations, from Wikipedia's anchors, or from a dictionary of labels."""

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from nlptool.knowledge import sources
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.particles import PARTICLE
from nlptool.text.mentions import Mention

ANCHOR = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.DOTALL)
PREFIX = 12  # longest prefix, in characters, by which a label's start is looked up
BITS = 22
SCRIPTS = "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af"  # scripts without spaces between words
JOINED = re.compile(f"[{SCRIPTS}]")


class _OnGraph:
    """Base of linkers: a graph, which each process opens for itself."""

    def __init__(self, path: Path, titles: tuple[str, ...] = ()) -> None:
        self.path, self._titles = path, titles
        self.graph = self._opened.fingerprint

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: value for key, value in vars(self).items() if key not in ("_opened", "_names", "numbers")
        }

    @cached_property
    def _opened(self) -> Graph:
        return Graph(self.path)

    @cached_property
    def _names(self) -> dict[str, str]:
        """Entities by the titles that documents use."""
        return dict(sources.labels(sources.files_of(self._titles)))

    @cached_property
    def numbers(self) -> dict[str, int | None]:
        """Cache of entity numbers."""
        return {}

    def number(self, name: str) -> int | None:
        """Number of an entity by its name or a title; None where the graph lacks it."""
        if name not in self.numbers:
            entity = self._names.get(name, name) if self._titles else name
            self.numbers[name] = self._opened.entities.find(entity)
        return self.numbers[name]

    def search(self, texts: Sequence[str]) -> list[list[Mention]]:
        """No further mentions: only annotated ones count."""
        return [[] for _ in texts]


class MentionLinker(_OnGraph):
    """Mentions that documents are annotated with.

    A list of [start, end, entity] or [start, end, entity, score], of [entity, start, end, score] as ERNIE's data has
    them, or of objects as TAGME gives them: start, end, id or title, and rho or link_probability. Places count
    characters. threshold: the least score; a mention without one is taken.
    """

    def __init__(self, path: Path, titles: tuple[str, ...], threshold: float) -> None:
        super().__init__(path, titles)
        self.threshold = threshold

    def read(self, text: str, given: object, dropped: Counter[str]) -> tuple[str, list[Mention]]:
        """The text unchanged, and its mentions."""
        if given is None:
            return text, []
        if not isinstance(given, list):
            dropped["no list of mentions"] += 1
            return text, []
        found = []
        for one in given:
            mention = self._mention(one, len(text))
            if isinstance(mention, str):
                dropped[mention] += 1
            else:
                found.append(mention)
        return text, found

    def _mention(self, given: object, size: int) -> Mention | str:
        """One mention, or the reason why it is invalid."""
        names: tuple[Any, ...]
        if isinstance(given, list) and len(given) in (3, 4):
            score = given[3] if len(given) == 4 else None
            if isinstance(given[0], str):
                names, start, end = (given[0],), given[1], given[2]
            else:
                start, end, names = given[0], given[1], (given[2],)
        elif isinstance(given, dict):
            start, end = given.get("start", given.get("begin")), given.get("end")
            names = tuple(given[key] for key in ("id", "entity", "title") if given.get(key) is not None)
            score = next((given[key] for key in ("rho", "score", "link_probability") if key in given), None)
        else:
            return "not of a known form"
        if type(start) is not int or type(end) is not int:
            return "without a place"
        if start < 0 or end > size:
            return "beyond the text"
        if start >= end:
            return "empty"
        if score is not None and isinstance(score, int | float) and score < self.threshold:
            return "below the threshold"
        for name in names:
            if (entity := self.number(str(name))) is not None:
                return Mention(start, end, entity)
        return "of an entity that is not in the graph"


class AnchorLinker(_OnGraph):
    """Wikipedia's links as `WikiExtractor -l` leaves them in the text: <a href="Seoul">서울</a>; tags are removed."""

    def read(self, text: str, given: object, dropped: Counter[str]) -> tuple[str, list[Mention]]:
        """The text without tags, and its mentions."""
        parts, found, size, at = [], [], 0, 0
        for anchor in ANCHOR.finditer(text):
            before, inner = text[at : anchor.start()], anchor[2]
            title = html.unescape(unquote(anchor[1])).partition("#")[0].replace("_", " ").strip()
            entity = self.number(title)
            if entity is None and title:
                entity = self.number(title[0].upper() + title[1:])
            start = size + len(before)
            if entity is None:
                dropped["of an entity that is not in the graph"] += 1
            elif not inner.strip():
                dropped["empty"] += 1
            else:
                found.append(Mention(start, start + len(inner), entity))
            parts += [before, inner]
            size, at = start + len(inner), anchor.end()
        return "".join([*parts, text[at:]]), found


class LabelLinker(_OnGraph):
    """Labels of the graph in a text: the longest match at each place that is a whole word, or a noun before a
    particle.

    If several entities share a label, the one with most triples is linked, or none (ambiguous: frequent, none).
    Labels shorter than `shortest` characters are ignored. In a graph without labels the names of entities serve as
    labels.
    """

    def __init__(self, path: Path, ambiguous: str, shortest: int) -> None:
        super().__init__(path)
        self.entities = self._dictionary(ambiguous, shortest)
        by_prefix: defaultdict[str, list[str]] = defaultdict(list)
        for label in sorted(self.entities, key=len, reverse=True):
            by_prefix[label[:PREFIX]].append(label)
        self._by_prefix = dict(by_prefix)
        self._sizes = sorted({len(prefix) for prefix in by_prefix}, reverse=True)
        self._begins = np.zeros(1 << BITS, bool)
        for size in self._sizes:
            codes = _codes("".join(prefix for prefix in by_prefix if len(prefix) == size)).reshape(-1, size)
            self._begins[_hashes(codes.T)[-1]] = True

    def _dictionary(self, ambiguous: str, shortest: int) -> dict[str, int]:
        graph = self._opened
        triples = graph.triples()
        degree = np.bincount(np.concatenate([triples.heads, triples.tails]), minlength=len(graph.entities))
        if len(graph.labels):
            labelled: Iterator[tuple[str, int]] = zip(
                graph.labels.texts, graph.labels.entities.tolist(), strict=True
            )
        else:
            labelled = ((name, number) for number, name in enumerate(graph.entities))
        found: dict[str, int] = {}
        shared: set[str] = set()
        for label, entity in labelled:
            if len(label) < shortest or not label[0].isalnum():
                continue
            other = found.setdefault(label, entity)
            if other != entity:
                shared.add(label)
                if degree[entity] > degree[other]:
                    found[label] = entity
        return {
            label: entity for label, entity in found.items() if ambiguous == "frequent" or label not in shared
        }

    def read(self, text: str, given: object, dropped: Counter[str]) -> tuple[str, list[Mention]]:
        """The text unchanged; `search` runs on the normalised text."""
        return text, []

    def search(self, texts: Sequence[str]) -> list[list[Mention]]:
        """Mentions of each text; they do not overlap.

        Texts are searched together, joined by line ends, which no label contains.
        """
        joined = self._search("\n".join(texts))
        bases = np.cumsum([0, *(len(text) + 1 for text in texts)])
        firsts = np.searchsorted([one.start for one in joined], bases).tolist()
        each = zip(bases.tolist(), pairwise(firsts), strict=False)  # bases has the end, too
        return [
            [Mention(start - base, end - base, entity) for start, end, entity in joined[first:last]]
            for base, (first, last) in each
        ]

    def _search(self, text: str) -> list[Mention]:
        found: list[Mention] = []
        end = 0
        for place, size in self._candidates(text):
            if place < end:
                continue
            for label in self._by_prefix.get(text[place : place + size], ()):
                if text.startswith(label, place) and _ends(text, label, place + len(label)):
                    end = place + len(label)
                    found.append(Mention(place, end, self.entities[label]))
                    break
        return found

    def _candidates(self, text: str) -> list[tuple[int, int]]:
        """Places where a word begins with a label's first characters, and how many of them, longest first."""
        codes = _codes(text)
        if not len(codes) or not self._sizes:
            return []
        letters_and_digits = _letters_and_digits()
        letters = letters_and_digits[codes]
        begins = letters.copy()
        begins[1:] &= ~letters[:-1] | UNSPACED[codes[1:]]
        places = np.flatnonzero(begins)
        padded = np.concatenate([codes, np.zeros(PREFIX, np.uint32)])
        hashes = _hashes(padded[np.arange(PREFIX)[:, None] + places])
        hits = np.stack([self._begins[hashes[size - 1]] for size in self._sizes], 1)
        at, which = np.nonzero(hits)  # by place; at one place the longest prefix first
        starts, sizes = places[at], np.array(self._sizes)[which]
        ends = starts + sizes
        continues = letters_and_digits[padded[ends]] & ~JOINS[padded[ends]] & ~JOINS[padded[ends - 1]]
        kept = (sizes == PREFIX) | ~continues  # the shorter prefix is a whole label
        return list(zip(starts[kept].tolist(), sizes[kept].tolist(), strict=True))


def _ends(text: str, label: str, end: int) -> bool:
    """Whether a word ends here or continues with a Korean particle; Chinese and Japanese words may end anywhere."""
    if end >= len(text) or not text[end].isalnum():
        return True
    if not JOINED.match(text[end]):
        return bool(JOINED.match(label[-1]))
    if "\uac00" <= text[end] <= "\ud7af":
        return PARTICLE.match(text, end) is not None
    return bool(JOINED.match(label[-1]))


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _hashes(columns: NDArray[np.uint32]) -> list[NDArray[np.uint32]]:
    """Hashes below 2^BITS of each prefix of N texts: [characters, N]."""
    mixed, found = np.zeros(columns.shape[1], np.uint32), []
    for column in columns:
        mixed = (mixed ^ column) * np.uint32(0x9E3779B1)
        mixed ^= mixed >> np.uint32(15)
        found.append(mixed & np.uint32((1 << BITS) - 1))
    return found


@cache
def _letters_and_digits() -> NDArray[np.bool_]:
    """[0x110000], by code point. It takes a third of a second, so commands without labels do not compute it."""
    return np.array([chr(code).isalnum() for code in range(0x110000)])


def _table(*ranges: tuple[int, int]) -> NDArray[np.bool_]:
    """[0x110000], by code point: whether it is in one of these inclusive ranges."""
    table = np.zeros(0x110000, bool)
    for first, last in ranges:
        table[first : last + 1] = True
    return table


# Scripts without spaces between words: a label may begin at any character.
UNSPACED = _table((0x3040, 0x30FF), (0x3400, 0x9FFF))
JOINS = _table(*((ord(first), ord(last)) for first, last in re.findall("(.)-(.)", SCRIPTS)))


class Agreement:
    """Precision and recall of linked mentions against annotated ones: same span and same entity."""

    def __init__(self) -> None:
        self.found = self.true = self.both = 0

    def add(self, found: list[Mention], true: list[Mention]) -> None:
        """Compare the mentions of a text."""
        self.found += len(found)
        self.true += len(true)
        self.both += len({*found} & {*true})
