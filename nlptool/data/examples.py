"""Cuts a split of a token store into rows for pretraining, by random access.

Nothing is listed or indexed: where row i of an epoch lies is computed, and found in the split by bisection.
So the first batch costs the same at any store size, and so does resuming.
"""

# N rows, T tokens

from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nlptool.data.draws import Draws
from nlptool.errors import DataError
from nlptool.text.store import Ids, Split

Ints = NDArray[np.int64]

Pairs = Literal["next", "order", "none"]

PAIR, MOVED = 16, 17  # streams of draws; data/masking.py has those below 16
AHEAD = 64  # documents that are looked at together for the next one of two sentences
CHUNK = 1 << 20  # documents that are counted together
SHORT = 0.1  # short_seq_prob of BERT's create_pretraining_data.py


@dataclass(frozen=True)
class Rows:
    """N rows of T token ids."""

    ids: Ints
    """[N, T]."""
    lengths: Ints | None = None
    """[N], real tokens per row, the rest is [PAD]; None: no row has padding."""
    types: Ints | None = None
    """[N, T], 0 in the first segment, 1 in the second; None: one segment."""
    labels: Ints | None = None
    """[N], 0 if the second segment follows the first, 1 if not; None: one segment."""

    def __len__(self) -> int:
        return len(self.ids)


class PackedRows:
    """Rows without padding, cut from the split's text as one endless stream.

    Documents follow each other in the store's order, each followed by the token `between`; the stream starts
    again at its end. A row is `first`, a stretch of the stream, `last`; tokens that are None are left out.
    A row may hold pieces of several documents, and these see each other, as in RoBERTa's FULL-SENTENCES (Liu
    et al. 2019, section 4.2); other than there, a row may begin and end within a sentence, so none is padded.

    overlap: how many tokens of a row are also the first ones of the next. With 1, where a row's tokens are
    guessed from those before them, an epoch guesses each token of the stream once.

    BERT: first=[CLS], between=last=[SEP]. GPT-2: between=<|endoftext|>, overlap=1.

    Each epoch starts at another place of the stream, so that the cuts fall elsewhere. Less than a row of an
    epoch's stream is left over.
    """

    def __init__(
        self,
        split: Split,
        length: int,
        seed: int,
        *,
        between: int,
        first: int | None = None,
        last: int | None = None,
        overlap: int = 0,
    ) -> None:
        self.split, self.length, self.seed = split, length, seed
        self.between, self.first, self.last = between, first, last
        self.inner = slice(int(first is not None), length - int(last is not None))
        self.stretch = self.inner.stop - self.inner.start
        self.stride = self.stretch - overlap
        self.stream = split.tokens + len(split)

    def __len__(self) -> int:
        """Rows per epoch."""
        return self.stream // self.stride if self.split.tokens else 0

    def take(self, indices: Ints, epochs: Ints, draws: Draws) -> Rows:
        """Rows `indices` [N] of `epochs` [N]; no draw is needed."""
        ids_NT = np.empty((len(indices), self.length), np.int64)
        if self.first is not None:
            ids_NT[:, 0] = self.first
        if self.last is not None:
            ids_NT[:, -1] = self.last
        begins = (_phases(self.seed, epochs, self.stream) + indices * self.stride) % self.stream
        ids_NT[:, self.inner] = self._read(begins)
        return Rows(ids_NT)

    def _read(self, begin_N: Ints) -> Ints:
        """The stretches of the stream that begin there."""
        rows, documents = len(begin_N), len(self.split)
        laps, ends = np.divmod(begin_N + self.stretch, self.stream)
        both = self._document_at(np.concatenate((begin_N, ends)))
        # Documents are numbered on over the end of the stream: the first one is also number `documents`.
        before_N, after_N = both[:rows], both[rows:] + laps * documents
        closed_N = after_N - before_N  # documents that end in the stretch, each with a `between`
        row = np.repeat(np.arange(rows), closed_N)
        document = np.arange(len(row)) - np.repeat(np.cumsum(closed_N) - closed_N - before_N, closed_N)
        lap, number = np.divmod(document, documents)
        column = self._begin(number + 1) - 1 + lap * self.stream - begin_N[row]
        text = np.ones((rows, self.stretch), bool)
        text[row, column] = False
        result = np.full((rows, self.stretch), self.between, np.int64)
        starts = (begin_N - before_N).tolist()
        stops = (begin_N - before_N + self.stretch - closed_N).tolist()
        result[text] = np.concatenate(
            [piece for a, b in zip(starts, stops, strict=True) for piece in self._pieces(a, b)]
        )
        return result

    def _pieces(self, start: int, stop: int) -> list[Ids]:
        """Tokens [start, stop) of the split repeated."""
        size = self.split.tokens
        if stop <= size:
            return [self.split.read(start, stop)]
        return [self.split.read(start, size), self.split.read(0, stop - size)]

    def _begin(self, documents: Ints) -> Ints:
        """Where documents begin in the stream; len(split) gives its end."""
        sentences, _ = self.split.sentence_range(np.minimum(documents, len(self.split) - 1))
        sentences = np.where(documents < len(self.split), sentences, self.split.sentences)
        return self.split.starts(sentences) + documents

    def _document_at(self, positions: Ints) -> Ints:
        """The document that holds, or whose `between` is, each position of the stream."""
        low, high = np.zeros(len(positions), np.int64), np.full(len(positions), len(self.split), np.int64)
        for _ in range(len(self.split).bit_length()):
            middle = (low + high) // 2
            right = self._begin(middle) <= positions
            low, high = np.where(right, middle, low), np.where(right, high, middle)
        return low


class SegmentPairs:
    """Two segments of text: [CLS] A [SEP] B [SEP], padded at the end.

    pairs "next", BERT's next-sentence prediction: B is the text that follows A (label 0) or a stretch of another
    document (label 1), half and half (Devlin et al. 2019, section 3.1, task 2, and appendix A.2). "order",
    ALBERT's sentence order: B follows A (0), or the two are swapped (1), half and half (Lan et al. 2020,
    section 3.1). "none": B always follows A.

    create_pretraining_data.py cuts each document, from its start, into chunks of whole sentences that follow
    each other, once per pass, and shuffles the list of all pairs. Here pair i is anchored at token position
    i * stride + phase(epoch) of the split: its chunk begins with the sentence there and goes on to the target
    length or the end of the document. So any pair can be made by itself: a run resumes without a list, and
    each epoch cuts elsewhere. The price is that an epoch is no partition: chunks may share sentences, and a
    sentence may be missed. Anchors are the longest chunk's length apart, so an epoch reads about as many
    tokens as the split has.

    Smaller departures. A chunk has two sentences or more, if its document has: where there is only a last or
    a very long one, the sentence before or after it is added. (There, such a chunk always gets a random B;
    here anchors would meet long sentences so often that most pairs of some corpora were random.) The target
    length is drawn for each pair, not once per pass over a document. Of a segment that is too long, every
    stretch of the right length is kept with the same chance; there, a coin per token decides between front
    and back, so that the middle is kept.

    A document of one sentence has no order. ALBERT's create_pretraining_data.py gives it a random B and calls that
    swapped; here an anchor that falls into one is moved into the next document that has more, to any place in it.
    """

    def __init__(
        self, split: Split, length: int, seed: int, pairs: Pairs = "next", *, cls: int, sep: int, pad: int
    ) -> None:
        """Raises DataError when the split has not the documents that `pairs` needs."""
        if pairs == "next" and len(split) == 1:
            raise DataError(
                "next-sentence pairs need at least two documents, and there is one",
                hint="separate the documents of the corpus, or do without these pairs: "
                "objective.next_sentence=false, objective.pairs=order",
            )
        if split.tokens and split.sentences == len(split):
            raise DataError(
                "pairs need documents of two sentences or more, and there is none",
                hint="tokenize with another sentence segmentation, or keep lines together as documents",
            )
        self.split, self.length, self.seed, self.pairs = split, length, seed, pairs
        self.cls, self.sep, self.pad = cls, sep, pad
        self.longest = length - 3

    def __len__(self) -> int:
        """Pairs per epoch."""
        return self.split.tokens // self.longest

    def take(self, indices: Ints, epochs: Ints, draws: Draws) -> Rows:
        """Pairs `indices` [N] of `epochs` [N]."""
        split = self.split
        anchors = (_phases(self.seed, epochs, split.tokens) + indices * self.longest) % split.tokens
        if self.pairs != "next":
            anchors = self._moved(anchors, draws)
        u = draws.uniform(PAIR, len(indices), 8).T
        target = np.where(u[0] < SHORT, _among(u[1], 2, self.longest), self.longest)
        document, first, last = self._chunk(anchors, target)
        alone = first == last
        middle = np.where(alone, last + 1, _among(u[2], first + 1, last))
        a_2N = split.starts(np.stack((first, middle)))
        b_2N = split.starts(np.stack((middle, last + 1)))
        wrong = (u[3] < 0.5) & (self.pairs != "none")
        if self.pairs == "next":
            wrong |= alone
            b_2N = np.where(wrong, self._elsewhere(document, target - (a_2N[1] - a_2N[0]), u[4], u[5]), b_2N)
        else:
            a_2N, b_2N = np.where(wrong, (b_2N, a_2N), (a_2N, b_2N))
        a_length, b_length = fit(a_2N[1] - a_2N[0], b_2N[1] - b_2N[0], self.longest)
        a_start = _among(u[6], a_2N[0], a_2N[1] - a_length)
        b_start = _among(u[7], b_2N[0], b_2N[1] - b_length)
        return self._rows(a_start, a_length, b_start, b_length, wrong)

    def passed_over(self) -> int:
        """Documents of one sentence, where these pairs never show them. Reads the store's index once."""
        if self.pairs == "next":
            return 0
        total = 0
        for first in range(0, len(self.split), CHUNK):
            some = np.arange(first, min(first + CHUNK, len(self.split)))
            total += int((self._sentences(some) == 1).sum())
        return total

    def _moved(self, anchors: Ints, draws: Draws) -> Ints:
        """The anchors, those in documents of one sentence moved to any token of the next one that has more."""
        document = self.split.document_at(anchors)
        found = document.copy()
        left = np.flatnonzero(self._sentences(document) < 2)
        while len(left):
            ahead_NA = (found[left, None] + np.arange(AHEAD)) % len(self.split)
            more_NA = self._sentences(ahead_NA) > 1
            found[left] = ahead_NA[np.arange(len(left)), np.where(more_NA.any(1), more_NA.argmax(1), -1)]
            left = left[~more_NA.any(1)]
        begin, stop = self.split.sentence_range(found)
        u = draws.uniform(MOVED, len(anchors), 1)[:, 0]
        places = _among(u, self.split.starts(begin), self.split.starts(stop) - 1)
        return np.where(found == document, anchors, places)

    def _sentences(self, documents: Ints) -> Ints:
        begin, stop = self.split.sentence_range(documents)
        return stop - begin

    def _chunk(self, anchors: Ints, target: Ints) -> tuple[Ints, Ints, Ints]:
        """Document, first and last sentence of each chunk: two sentences or more, if the document has them."""
        sentence = self.split.sentence_at(anchors)
        document = self.split.document_of(sentence)
        begin, stop = self.split.sentence_range(document)
        first = np.maximum(np.minimum(sentence, stop - 2), begin)
        last = np.maximum(self._last(first, stop, target), np.minimum(first + 1, stop - 1))
        return document, first, last

    def _elsewhere(
        self, own: Ints, target: Ints, which: NDArray[np.float64], where: NDArray[np.float64]
    ) -> tuple[Ints, Ints]:
        """Tokens [start, stop) of whole sentences of any document but `own`, up to the target."""
        other = (own + _among(which, 1, len(self.split) - 1)) % len(self.split)
        begin, stop = self.split.sentence_range(other)
        first = _among(where, begin, stop - 1)
        return self.split.starts(first), self.split.starts(self._last(first, stop, target) + 1)

    def _last(self, first: Ints, stop: Ints, target: Ints) -> Ints:
        """The sentence, before `stop`, by which `target` tokens from `first` on are read; or the last one."""
        end = np.minimum(self.split.starts(first) + np.maximum(target, 1), self.split.starts(stop))
        return self.split.sentence_at(end - 1)

    def _rows(
        self, a_start: Ints, a_length: Ints, b_start: Ints, b_length: Ints, wrong: NDArray[np.bool_]
    ) -> Rows:
        lengths = a_length + b_length + 3
        position_T = np.arange(self.length)
        real_NT = position_T < lengths[:, None]
        ids_NT = np.full(real_NT.shape, self.pad, np.int64)
        cls, sep = np.array([self.cls], self.split.dtype), np.array([self.sep], self.split.dtype)
        read = self.split.read
        starts_and_stops = np.stack(
            (a_start, a_start + a_length, b_start, b_start + b_length), axis=1
        ).tolist()
        ids_NT[real_NT] = np.concatenate(
            list(
                chain.from_iterable(
                    (cls, read(a, b), sep, read(c, d), sep) for a, b, c, d in starts_and_stops
                )
            )
        )
        types_NT = real_NT & (position_T >= a_length[:, None] + 2)
        return Rows(ids_NT, lengths, types_NT.astype(np.int64), wrong.astype(np.int64))


def fit(a: Ints, b: Ints, longest: int) -> tuple[Ints, Ints]:
    """Lengths of two segments after tokens are taken from the longer one until both fit; on a tie from b.

    The outcome of BERT's truncate_seq_pair, without its loop.
    """
    a_kept = np.where(a + b > longest, np.minimum(a, np.maximum((longest + 1) // 2, longest - b)), a)
    return a_kept, np.minimum(b, longest - a_kept)


def _among(uniform: NDArray[np.float64], low: Ints | int, high: Ints | int) -> Ints:
    """A whole number from low to high, both included."""
    span = np.asarray(high) - low + 1
    return low + (uniform * span).astype(np.int64)


def _phases(seed: int, epochs: Ints, size: int) -> Ints:
    """A number in [0, size) for each epoch."""
    distinct, which = np.unique(epochs, return_inverse=True)
    states = [
        np.random.SeedSequence((seed, int(epoch), PAIR)).generate_state(1, np.uint64) for epoch in distinct
    ]
    phases: Ints = (np.concatenate(states) % np.uint64(size)).astype(np.int64)
    return phases[which]
