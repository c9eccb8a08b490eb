"""The characters of some texts that each token stands for."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.text.sentences import PLAIN

Ints = NDArray[np.int64]


class TokenPlaces(NamedTuple):
    """Spans of concatenated tokens: each stands for [starts, ends), white space before it included."""

    starts: Ints
    ends: Ints


class EncodedTexts(NamedTuple):
    """Tokens of N concatenated texts; characters are counted through all of these texts."""

    ids: Ints
    """[T]"""
    sizes: Ints
    """[N], tokens of each text."""
    starts: Ints
    """[T], the first character of each token; white space at both ends is left out."""
    ends: Ints
    """[T], the one after its last; a token of white space has an empty span."""
    bases: Ints
    """[N + 1], the first character of each text, and the end."""


def from_bytes(texts: Sequence[str], sizes: NDArray[np.integer[Any]]) -> TokenPlaces | None:
    """Spans of tokens from their numbers of bytes; None if they do not add up to the texts."""
    joined = "".join(texts).encode("utf8")
    ends = np.cumsum(sizes, dtype=np.int64)
    if len(ends) and ends[-1] != len(joined):
        return None
    starts = ends - sizes
    if len(joined) != sum(map(len, texts)):
        begins = (np.frombuffer(joined, np.uint8) & 0xC0) != 0x80
        number = np.cumsum(begins) - 1  # the character of each byte
        real = sizes > 0
        starts = np.where(real, number[np.minimum(starts, len(number) - 1)], starts)
        ends = np.where(real, number[np.maximum(ends - 1, 0)] + 1, ends)
    return TokenPlaces(starts, ends)


def bases_of(texts: Sequence[str]) -> Ints:
    """Offset of each text's first character, and the end: [N + 1]."""
    return np.cumsum([0, *map(len, texts)], dtype=np.int64)


def without_space(texts: Sequence[str], places: TokenPlaces) -> TokenPlaces:
    """Spans without white space at both ends, like str.strip; a span of white space becomes empty at its end."""
    white = is_space("".join(texts))
    starts, ends = places.starts.copy(), places.ends.copy()
    open_ = np.flatnonzero(starts < ends)
    while len(open_ := open_[white[starts[open_]]]):
        starts[open_] += 1
        open_ = open_[starts[open_] < ends[open_]]
    open_ = np.flatnonzero(starts < ends)
    while len(open_ := open_[white[ends[open_] - 1]]):
        ends[open_] -= 1
    return TokenPlaces(starts, ends)


def is_space(text: str) -> NDArray[np.bool_]:
    """str.isspace for each character."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    found: NDArray[np.bool_] = _white_space()[codes]
    return found


@cache
def _white_space() -> NDArray[np.bool_]:
    """[0x110000], by code point: str.isspace."""
    table = np.zeros(0x110000, bool)
    table[list(PLAIN)] = True
    return table
