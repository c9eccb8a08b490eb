"""Ids of pieces of text, remembered: a corpus is made of few pieces that come again and again.

The table is direct-mapped, with two places for each piece, and looked up for all pieces of a batch at once. Keys
are the pieces themselves, so no answer is wrong; what is not in the table is encoded and takes a place in it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nlptool.text.split import Pieces

BITS = 18  # places: 10 MB; more would leave the processor's caches
WORDS = 4  # of eight bytes, that a key has; the last byte of the last is the piece's size
LONGEST = 8 * WORDS - 1  # bytes; a longer piece is encoded anew in each batch
FULL = 1 << 22  # ids in memory, after which all is forgotten
MIXERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64)

Encode = Callable[[list[bytes]], tuple[NDArray[np.int32], NDArray[np.int64]]]
"""Distinct pieces to their ids, end to end, and how many each has."""


class Table:
    """Encodes pieces; `encode` is asked only for those that are new."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._keys, self._offsets, self._counts = _empty()
        self._ids: NDArray[np.int32] = np.empty(1 << 16, np.int32)
        self._used = 0

    def __call__(self, pieces: Pieces) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Ids of all pieces end to end, and how many each piece has."""
        if self._used > FULL:
            self._keys, self._offsets, self._counts = _empty()
            self._used = 0
        keys = _keys(pieces)
        places = _places(keys)
        found = self._holds(places, keys)
        second = np.flatnonzero(~found)
        places[second] ^= 1
        found[second] = self._holds(places[second], [word[second] for word in keys])
        found &= pieces.sizes <= LONGEST
        offsets, counts = self._offsets[places], self._counts[places]
        missing = np.flatnonzero(~found)
        if len(missing):
            offsets[missing], counts[missing] = self._learn(pieces, missing, places, keys)
        ends = np.cumsum(counts)
        at = np.repeat(offsets - (ends - counts), counts)
        at += np.arange(len(at))
        return self._ids[at], counts

    def _learn(
        self,
        pieces: Pieces,
        missing: NDArray[np.int64],
        places: NDArray[np.int64],
        keys: list[NDArray[np.uint64]],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Encode pieces that were not found; returns where their ids are, and how many."""
        spans = zip(pieces.starts[missing].tolist(), pieces.sizes[missing].tolist(), strict=True)
        raw = [pieces.data[start : start + size] for start, size in spans]
        numbers = {piece: number for number, piece in enumerate(dict.fromkeys(raw))}
        ids, counts = self._encode(list(numbers))
        offsets = np.cumsum(counts) - counts + self._used
        if self._used + len(ids) > len(self._ids):
            more = np.empty(max(len(self._ids), len(ids)), np.int32)
            self._ids = np.concatenate([self._ids, more])
        self._ids[self._used : self._used + len(ids)] = ids
        self._used += len(ids)
        which = np.array([numbers[piece] for piece in raw])

        short = pieces.sizes[missing] <= LONGEST
        place = places[missing[short]] ^ 1  # the first of the two places, unless it is taken
        place ^= self._counts[place] > 0
        place, chosen = np.unique(place, return_index=True)  # one piece for each place
        source, number = missing[short][chosen], which[short][chosen]
        for column, word in zip(self._keys, keys, strict=True):
            column[place] = word[source]
        self._offsets[place], self._counts[place] = offsets[number], counts[number]
        return offsets[which], counts[which]

    def _holds(self, places: NDArray[np.int64], keys: list[NDArray[np.uint64]]) -> NDArray[np.bool_]:
        same = np.ones(len(places), bool)
        for column, word in zip(self._keys, keys, strict=True):
            same &= column[places] == word
        return same


def _empty() -> tuple[list[NDArray[np.uint64]], NDArray[np.int64], NDArray[np.int64]]:
    """Keys, and where their ids are and how many."""
    size = 1 << BITS
    return (
        [np.zeros(size, np.uint64) for _ in range(WORDS)],
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
    )


def _keys(pieces: Pieces) -> list[NDArray[np.uint64]]:
    """The bytes of each piece and its size, as WORDS whole numbers; of longer pieces only the size."""
    padded = np.frombuffer(pieces.data + bytes(8 * WORDS), np.uint8)
    at_each_byte = np.ndarray((len(pieces.data) + 8 * WORDS - 7,), np.dtype("<u8"), padded, strides=(1,))
    sizes = np.where(pieces.sizes > LONGEST, 0, pieces.sizes)
    keys = [at_each_byte[pieces.starts + 8 * word] & MASKS[word][sizes] for word in range(WORDS)]
    keys[-1] |= sizes.astype(np.uint64) << np.uint64(56)
    return keys


def _places(keys: list[NDArray[np.uint64]]) -> NDArray[np.int64]:
    mixed = np.zeros_like(keys[0])
    for word, mixer in zip(keys, MIXERS, strict=True):
        mixed = (mixed ^ (mixed >> np.uint64(29)) ^ word) * mixer
    return (mixed >> np.uint64(64 - BITS)).astype(np.int64)


MASKS = [
    np.array([(1 << 8 * min(max(size - 8 * word, 0), 8)) - 1 for size in range(LONGEST + 1)], np.uint64)
    for word in range(WORDS)
]
