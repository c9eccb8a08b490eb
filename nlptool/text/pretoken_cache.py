"""A cache of the ids of text pieces, since a corpus repeats a small number of pieces.

The table is direct-mapped, with two places for each piece, and looked up for all pieces of a batch at once. The
pieces themselves are the keys, so results are exact; a piece that is not in the table is encoded and stored.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nlptool.text.gpt2_pretokenizer import Pieces

BITS = 18  # places: 13 MB; more would not fit the processor's caches
WORDS = 4  # words of eight bytes in a key; the last byte holds the piece's size
LONGEST = 8 * WORDS - 1  # bytes; a longer piece is not cached
FULL = 1 << 22  # ids in memory, after which the cache is emptied
KEY = np.dtype(f"S{8 * WORDS}")  # compared as a whole; it never ends in NUL, which would not count
MIXERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64)
MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)  # the first n bytes of eight

Keys = NDArray[np.bytes_]
Places = NDArray[np.int64]
Encode = Callable[[list[bytes]], tuple[NDArray[np.int32], NDArray[np.int64]]]
"""Distinct pieces to their ids, end to end, and the number of each."""


class PretokenCache:
    """Encodes pieces; `encode` is called only for new ones."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._keys = np.zeros(1 << BITS, KEY)
        self._offsets = np.zeros(1 << BITS, np.int64)
        self._counts = np.zeros(1 << BITS, np.int64)
        self._ids = np.empty(1 << 16, np.int32)
        self._used = 0

    def __call__(self, pieces: Pieces) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Ids of all pieces end to end, and the number of each piece."""
        if self._used > FULL:
            self._reset()
        keys = _keys(pieces)
        places = _places(keys)
        found = self._keys.take(places) == keys
        second = np.flatnonzero(~found)
        places[second] ^= 1
        found[second] = self._keys.take(places[second]) == keys[second]
        found &= pieces.sizes <= LONGEST
        offsets, counts = self._offsets.take(places), self._counts.take(places)
        missing = np.flatnonzero(~found)
        if len(missing):
            offsets[missing], counts[missing] = self._learn(pieces, missing, places[missing], keys[missing])
        ends = np.cumsum(counts)
        at = np.repeat(offsets - (ends - counts), counts)
        at += np.arange(len(at))
        return self._ids.take(at), counts

    def _learn(
        self, pieces: Pieces, missing: NDArray[np.int64], places: Places, keys: Keys
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Encode the pieces that were not found; returns the offsets and numbers of their ids."""
        spans = zip(pieces.starts[missing].tolist(), pieces.sizes[missing].tolist(), strict=True)
        raw = [pieces.data[start : start + size] for start, size in spans]
        numbers = {piece: number for number, piece in enumerate(dict.fromkeys(raw))}
        ids, counts = self._encode(list(numbers))
        offsets = np.cumsum(counts) - counts + self._used
        self._keep(ids)
        of_piece = np.array([numbers[piece] for piece in raw])

        places = places ^ 1  # the first of its two places, unless it is taken
        places ^= self._counts[places] > 0
        short = np.flatnonzero(pieces.sizes[missing] <= LONGEST)
        places, chosen = np.unique(places[short], return_index=True)  # one piece for each place
        chosen = short[chosen]
        self._keys[places] = keys[chosen]
        self._offsets[places], self._counts[places] = offsets[of_piece[chosen]], counts[of_piece[chosen]]
        return offsets[of_piece], counts[of_piece]

    def _keep(self, ids: NDArray[np.int32]) -> None:
        room = len(self._ids) - self._used
        if len(ids) > room:
            self._ids = np.concatenate([self._ids, np.empty(max(len(self._ids), len(ids)), np.int32)])
        self._ids[self._used : self._used + len(ids)] = ids
        self._used += len(ids)

    def _reset(self) -> None:
        self._keys[:] = b""
        self._counts[:] = 0
        self._used = 0


def _keys(pieces: Pieces) -> Keys:
    """The bytes of each piece, and its size; longer pieces have no key."""
    padded = np.frombuffer(pieces.data + bytes(8), np.uint8)
    from_each_byte = np.ndarray((len(pieces.data) + 1,), np.dtype("<u8"), padded, strides=(1,)).copy()
    sizes = np.where(pieces.sizes > LONGEST, 0, pieces.sizes)
    keys = np.zeros((len(sizes), WORDS), "<u8")
    for word in range(WORDS):
        longer = np.flatnonzero(sizes > 8 * word)
        rest = np.minimum(sizes[longer] - 8 * word, 8)
        keys[longer, word] = from_each_byte.take(pieces.starts[longer] + 8 * word) & MASKS.take(rest)
    keys[:, -1] |= sizes.astype(np.uint64) << np.uint64(56)
    return keys.view(KEY)[:, 0]


def _places(keys: Keys) -> Places:
    mixed = np.zeros(len(keys), np.uint64)
    for word, mixer in zip(keys.view("<u8").reshape(-1, WORDS).T, MIXERS, strict=True):
        mixed = (mixed ^ (mixed >> np.uint64(29)) ^ word) * mixer
    return (mixed >> np.uint64(64 - BITS)).astype(np.int64)
