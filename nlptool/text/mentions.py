"""Mentions of entities: character spans, mapped through normalisation and sentence splitting to tokens.

Lost mentions are counted by reason. No graph is needed here: an entity is a number.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import NamedTuple, Protocol

import numpy as np

from nlptool.text.config import Normalise
from nlptool.text.links import MOST_TOKENS, Links
from nlptool.text.normalise import normaliser
from nlptool.text.token_places import TokenPlaces, is_space

JOINERS = "\u200d\ufe0f\ufe0e\u20e3"  # they join emojis into one
SKIN = range(0x1F3FB, 0x1F400)  # modifiers of the preceding emoji


class Mention(NamedTuple):
    """Characters [start, end) of a text that mention an entity."""

    start: int
    end: int
    entity: int


class MarkedText(NamedTuple):
    """A text with its annotated mentions, the input of a Linker."""

    text: str
    given: object
    original: str | None = None
    """The text that positions refer to, if it was repaired since."""


class Linker(Protocol):
    """Finds mentions; it is pickled for worker processes."""

    graph: str
    """Fingerprint of the graph that numbers the entities."""

    def read(self, text: str, given: object, dropped: Counter[str]) -> tuple[str, list[Mention]]:
        """The text to be encoded and its annotated mentions, before normalisation."""
        ...

    def search(self, texts: Sequence[str]) -> list[list[Mention]]:
        """Mentions found in each of some normalised texts."""
        ...


def carry(
    text: str,
    normal: str,
    mentions: list[Mention],
    config: Normalise,
    dropped: Counter[str],
    repair: Callable[[str], str] | None = None,
) -> list[Mention]:
    """Map the mentions of a text to its normalised form.

    The normal form of a character may depend on its neighbours, so pieces are normalised separately: if they do not
    add up to the whole, the mention is lost. Removed white space shifts what follows.
    """
    if text == normal or not mentions:
        return mentions
    steps = [repair] if repair is not None else []
    steps.append(normaliser(config.model_copy(update={"whitespace": "keep"})))
    for step in steps:
        whole = step(text)
        if whole != text:
            mentions = _through(text, whole, step, mentions, dropped)
        text = whole
    if config.whitespace == "collapse" and text != normal:
        mentions = _collapsed(text, normal, mentions, dropped)
    return mentions


def _through(
    text: str, whole: str, step: Callable[[str], str], mentions: list[Mention], dropped: Counter[str]
) -> list[Mention]:
    cuts = sorted({0, len(text), *(m.start for m in mentions), *(m.end for m in mentions)})
    pieces = [step(text[one:other]) for one, other in pairwise(cuts)]
    if "".join(pieces) == whole:
        place = dict(zip(cuts, np.cumsum([0, *map(len, pieces)]).tolist(), strict=True))
        return [Mention(place[m.start], place[m.end], m.entity) for m in mentions]
    kept = []
    for start, end, entity in mentions:
        before, inner, after = step(text[:start]), step(text[start:end]), step(text[end:])
        if before + inner + after == whole:
            kept.append(Mention(len(before), len(before) + len(inner), entity))
        else:
            dropped["changed by normalising"] += 1
    return kept


def _collapsed(text: str, normal: str, mentions: list[Mention], dropped: Counter[str]) -> list[Mention]:
    """Positions by the number of visible characters before each, which collapsing white space does not change."""
    before = np.concatenate([[0], np.cumsum(~is_space(text))])
    places = np.flatnonzero(~is_space(normal))
    if before[-1] != len(places):
        dropped["changed by normalising"] += len(mentions)
        return []
    kept = []
    for start, end, entity in mentions:
        first, last = before[start], before[end] - 1
        if last < first:
            dropped["empty"] += 1
        else:
            kept.append(Mention(int(places[first]), int(places[last]) + 1, entity))
    return kept


def without_overlaps(text: str, mentions: list[Mention], dropped: Counter[str]) -> list[Mention]:
    """Mentions in the order of the text, without overlaps: the first, or the longer one, is kept."""
    kept: list[Mention] = []
    starts = [mention[0] for mention in mentions]
    if starts != sorted({*starts}):
        mentions = sorted(mentions, key=lambda m: (m.start, -m.end))
    plain, last = text.isascii(), 0
    for start, end, entity in mentions:
        given = text[start:end]
        inner = given.strip()
        if not inner:
            dropped["empty"] += 1
        elif start < last:
            dropped["overlapping"] += 1
        elif not plain and (_inside_character(text, start) or _inside_character(text, end)):
            dropped["inside a character"] += 1
        else:
            first = start + len(given) - len(given.lstrip())
            last = first + len(inner)
            kept.append(Mention(first, last, entity))
    return kept


def _inside_character(text: str, place: int) -> bool:
    """Whether the character at a place belongs to the one before it: an accent, a part of an emoji."""
    if not 0 < place < len(text) or (text[place].isascii() and text[place - 1].isascii()):
        return False
    after, before = text[place], text[place - 1]
    joined = before == "\u200d" or after in JOINERS or ord(after) in SKIN
    jamo = "\u1100" <= before <= "\u115f" and "\u1160" <= after <= "\u11ff"
    return joined or jamo or unicodedata.combining(after) != 0


def to_tokens(
    texts: Sequence[str],
    documents: Sequence[Sequence[str]],
    places: TokenPlaces,
    mentions: Sequence[list[Mention]],
    dropped: Counter[str],
) -> Links:
    """Links of concatenated texts; positions are token indices, ascending.

    A mention may end inside a token, as 서울 does in 서울은. It is lost if it begins inside a token, after other
    characters than white space, or if the end of a sentence cuts it.
    """
    bases = np.cumsum([0, *map(len, texts)])
    counts = [len(found) for found in mentions]
    numbers = chain.from_iterable(chain.from_iterable(mentions))
    flat = np.fromiter(numbers, np.int64).reshape(-1, 3)
    starts, ends = (flat[:, column] + np.repeat(bases[:-1], counts) for column in (0, 1))
    boundaries = np.cumsum([len(sentence) for sentences in documents for sentence in sentences])
    cut = np.searchsorted(boundaries, starts, "right") != np.searchsorted(boundaries, ends - 1, "right")
    first = np.searchsorted(places.ends, starts, "right")
    last = np.searchsorted(places.starts, ends) - 1
    none = (first > last) | (last - first >= MOST_TOKENS)
    begins = (
        places.starts[np.minimum(first, max(len(places.starts) - 1, 0))] if len(places.starts) else starts
    )
    inside = np.zeros(len(flat), bool)
    owner = np.repeat(np.arange(len(texts)), counts)
    for number in np.flatnonzero((begins < starts) & ~none & ~cut).tolist():
        text, base = texts[owner[number]], int(bases[owner[number]])
        before = text[max(int(begins[number]) - base, 0) : int(starts[number]) - base]
        inside[number] = bool(before.strip())
    same = np.zeros(len(flat), bool)
    good = ~(cut | none | inside)
    chosen = np.flatnonzero(good)
    same[chosen[1:]] = first[chosen[1:]] == first[chosen[:-1]]
    for why, which in (
        ("cut by the end of a sentence", cut),
        ("without a token", none & ~cut),
        ("begins inside a token", inside),
        ("in the token of another one", same),
    ):
        if which.any():
            dropped[why] += int(which.sum())
    kept = good & ~same
    return Links(
        first[kept],
        (last - first + 1)[kept].astype(np.uint16),
        flat[kept, 2].astype(np.int32),
    )
