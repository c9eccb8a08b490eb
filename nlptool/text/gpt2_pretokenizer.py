r"""GPT-2's pretokenizer (Radford et al. 2019, encoder.py), vectorised over many sentences.

    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

Instead of a regular expression, each rule is a few numpy operations on the whole text.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import pre_tokenizers

from nlptool.text.sentences import WHITE

SPACE, BLANK, LETTER, NUMBER, OTHER, UNKNOWN = range(6)
CHARACTERS = 0x110000
PLANES = 0x40000  # characters that Unicode assigns, except private ones and variation selectors
ALIKE = {LETTER: "a", NUMBER: "1", OTHER: "."}  # characters that must stay with another one of the same class
FIRST = -0x40  # signed bytes below this continue a UTF-8 character; others begin one
APOSTROPHE = ord("'")
SHORT = np.frombuffer(b"sdmt", np.uint8)  # letters that form a contraction with an apostrophe before them
LONG = (("l", "l"), ("v", "e"), ("r", "e"))


class UnknownCharacterError(Exception):
    """A character whose class differs between Python and `tokenizers`; usually an unassigned one."""


class Pieces(NamedTuple):
    """Sentences as pieces that are merged separately."""

    data: bytes
    """The sentences' UTF-8, end to end."""
    starts: NDArray[np.int64]
    """Offset of each piece in `data`."""
    sizes: NDArray[np.int64]
    """Bytes of each piece."""
    first: NDArray[np.int64]
    """Number of the first piece of each sentence."""


def split(sentences: Sequence[str]) -> Pieces:
    """The pieces of each sentence. Raises UnknownCharacterError."""
    text = "".join(sentences)
    data = text.encode()
    if text.isascii():
        points: NDArray[np.unsignedinteger] = np.frombuffer(data, np.uint8)
    else:
        points = np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))
    lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
    bounds = np.cumsum(lengths) - lengths
    starts = np.flatnonzero(_starts(points, bounds))
    first = np.searchsorted(starts, bounds)
    if not text.isascii():
        starts = np.flatnonzero(np.frombuffer(data, np.int8) >= FIRST)[starts]
    return Pieces(data, starts, np.diff(starts, append=len(data)), first)


def _starts(points: NDArray[np.unsignedinteger], bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a piece begins at each character. bounds: first characters of sentences."""
    size = len(points)
    kinds = _kinds().take(points)
    if size and kinds.max() == UNKNOWN:
        raise UnknownCharacterError
    white = kinds <= BLANK
    runs = np.maximum(kinds, BLANK)
    starts = np.ones(size + 4, bool)  # all places beyond the end are starts
    np.not_equal(runs[1:], runs[:-1], out=starts[1:size])
    starts[bounds] = True

    # The last white space before another character is a piece of its own, or begins the next one if it is a space.
    last = np.zeros(size + 1, bool)
    np.logical_and(white[:-1], ~white[1:], out=last[: max(size - 1, 0)])
    last[bounds - 1] = False
    places = np.flatnonzero(last)
    starts[places] = True
    starts[places[kinds[places] == SPACE] + 1] = False

    _contract(points, bounds, starts)
    return starts[:size]


def _contract(
    points: NDArray[np.unsignedinteger], bounds: NDArray[np.int64], starts: NDArray[np.bool_]
) -> None:
    """Make contractions such as `'s` pieces where a piece begins with the apostrophe."""
    places = np.flatnonzero(points == APOSTROPHE)
    places = places[starts[places]]
    if not len(places):
        return
    inside = np.ones(len(points) + 4, bool)  # whether a character has one before it in its sentence
    inside[bounds] = False
    inside[len(points) :] = False
    padded = np.concatenate([points, np.zeros(4, points.dtype)])
    one, two = padded[places + 1], padded[places + 2]
    short = inside[places + 1] & np.isin(one, SHORT)
    pairs = [(one == ord(a)) & (two == ord(b)) for a, b in LONG]
    long = inside[places + 1] & inside[places + 2] & np.any(pairs, axis=0)
    for chosen, length in ((short, 2), (long, 3)):
        starts[places[chosen] + 1] = False
        starts[places[chosen] + length] = True


@cache
def _kinds() -> NDArray[np.uint8]:
    """The class of each character in Python's Unicode data, where `tokenizers` agrees."""
    kind = {"L": LETTER, "N": NUMBER}
    categories = map(unicodedata.category, map(chr, range(PLANES)))
    kinds = np.full(CHARACTERS, UNKNOWN, np.uint8)
    kinds[:PLANES] = [UNKNOWN if name in ("Cn", "Cs") else kind.get(name[0], OTHER) for name in categories]
    kinds[[ord(character) for character in WHITE]] = BLANK
    kinds[ord(" ")] = SPACE
    theirs = pre_tokenizers.ByteLevel(add_prefix_space=False)
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), CHARACTERS]
    for start, stop in pairwise(
        edges
    ):  # Unicode versions differ in whole runs of characters, or at their ends
        alike = ALIKE.get(int(kinds[start]))
        if alike and any(len(theirs.pre_tokenize_str(alike + chr(c))) > 1 for c in (start, stop - 1)):
            kinds[start:stop] = UNKNOWN
    return kinds
