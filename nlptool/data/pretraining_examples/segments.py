"""Rows of one or two segments, the pretraining input of ELECTRA."""

# N rows, S sentences of a chunk, T tokens

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.data.pretraining_examples.chunks import Chunks
from nlptool.data.pretraining_examples.rows import PAIR, Ints, PackedBatch
from nlptool.data.random_streams import RandomStreams
from nlptool.text.store import Split

SINGLE = 0.1  # probability of a row with one segment, "as in classification tasks"
SHORT, SHORTEST = 0.05, 5  # probability of a target length below the row's, and the smallest one
ALL = 100_000  # first_segment_target_length of a row of one segment


class _Sentences(NamedTuple):
    """The sentences of N rows: first token, kept tokens, and 1 where it is in the second segment; [N, S]."""

    start: Ints
    kept: Ints
    second: Ints


class Segments:
    """[CLS] A [SEP] B [SEP] or [CLS] A [SEP], padded at the end; no objective depends on B.

    The construction of google-research/electra, build_pretraining_dataset.py. Sentences of a document are taken until
    they have the target length; the target is the row's length, with chance 0.05 any from 5 on. Each sentence goes to
    A while A stays below half of the target, the first that would not by a coin, and else to B; with chance 0.1 all
    go to A. So a short sentence behind a long one may go to A though the long one is in B. A is cut to the row's
    length less 2, then B to what is left less 3; what is cut off is not used. Types are 0 for [CLS] A [SEP] and 1 for
    B [SEP].

    Here a row is found by itself (`Chunks`), where the script goes through files in order. On chapters of novels, in
    rows of 512 tokens A and B have 270 and 201 tokens in the mean, and 15 % of the rows one segment; the script's have
    270 and 195, and 17 %.
    """

    def __init__(self, split: Split, length: int, seed: int, *, cls: int, sep: int, pad: int) -> None:
        self.split, self.length = split, length
        self.cls, self.sep, self.pad = cls, sep, pad
        shortest = min(SHORTEST, length)
        chances = np.zeros(length + 1)
        chances[shortest:] = SHORT / (length + 1 - shortest)
        chances[length] += 1 - SHORT
        self.chunks = Chunks(split, chances, seed, per="row")
        sample = self._sentences(self.chunks.sample(), RandomStreams(seed, 0))
        self.chunks.read_once(sample.kept.sum(1))
        self.types = 2 if (sample.kept * sample.second).any() else 1
        """Number of segment types: 1 where documents have one sentence, or rows no room for a second segment."""

    def __len__(self) -> int:
        """Rows per epoch."""
        return self.chunks.number

    def take(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> PackedBatch:
        """Rows `indices` [N] of `epochs` [N]."""
        start_NS, kept_NS, second_NS = self._sentences(self.chunks.anchors(indices, epochs), draws)
        a_N, b_N = (kept_NS * (1 - second_NS)).sum(1), (kept_NS * second_NS).sum(1)
        total_N = a_N + 2 + np.where(b_N > 0, b_N + 1, 0)
        place_T = np.arange(self.length)
        real_NT = place_T < total_N[:, None]
        types_NT = real_NT & (place_T >= a_N[:, None] + 2)
        ids_NT = np.where(real_NT, self.sep, self.pad)
        ids_NT[:, 0] = self.cls
        special_NT = (place_T == 0) | (place_T == a_N[:, None] + 1) | (place_T == total_N[:, None] - 1)
        row, sentence = np.nonzero(kept_NS)
        order = np.lexsort((sentence, second_NS[row, sentence], row))
        starts, sizes = start_NS[row, sentence][order], kept_NS[row, sentence][order]
        pieces = zip(starts.tolist(), (starts + sizes).tolist(), strict=True)
        ids_NT[real_NT & ~special_NT] = np.concatenate([self.split.read(*piece) for piece in pieces])
        return PackedBatch(ids_NT, total_N, types_NT.astype(np.int64))

    def _sentences(self, anchors: Ints, draws: RandomStreams) -> _Sentences:
        """The sentences of the rows at these token positions."""
        u = draws.uniform(PAIR, len(anchors), 3).T
        target = self.chunks.target(u[0])
        _, first, last = self.chunks.at(anchors, target)
        number_NS = first[:, None] + np.arange(int((last - first).max(initial=0)) + 1)
        start_NS, stop_NS = (
            self.split.starts(np.minimum(n, last[:, None] + 1)) for n in (number_NS, number_NS + 1)
        )
        size_NS = stop_NS - start_NS
        half = np.where(u[1] < SINGLE, ALL, (target - 3) // 2)
        second_NS = in_second(size_NS, half, u[2] < 0.5)
        a_NS = _first(size_NS * (1 - second_NS), np.full(len(anchors), self.length - 2))
        b_NS = _first(size_NS * second_NS, np.maximum(0, self.length - 3 - a_NS.sum(1)))
        return _Sentences(start_NS, a_NS + b_NS, second_NS)


def in_second(size_NS: Ints, half: Ints, coin: NDArray[np.bool_]) -> Ints:
    """[N, S], 1 where a sentence goes to the second segment.

    half: [N], length below which the first segment stays; coin: [N] bool, whether the sentence that would exceed it
    is still taken, while the second segment is empty. A row has at most one such sentence.
    """
    a, b = np.zeros(len(size_NS), np.int64), np.zeros(len(size_NS), np.int64)
    result = np.zeros_like(size_NS)
    for sentence, size in enumerate(size_NS.T):
        fits = (a == 0) | (a + size < half) | ((b == 0) & (a < half) & coin)
        a, b = a + size * fits, b + size * ~fits
        result[:, sentence] = ~fits
    return result


def _first(size_NS: Ints, most: Ints) -> Ints:
    """The first `most` [N] tokens of consecutive sentences: how many of each are kept."""
    before_NS = np.cumsum(size_NS, axis=1) - size_NS
    return np.clip(most[:, None] - before_NS, 0, size_NS)
