"""Pairs of segments, the pretraining input of BERT and ALBERT."""

# N rows, T tokens

from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.data.pretraining_examples.chunks import Chunks
from nlptool.data.pretraining_examples.linked import Pieces
from nlptool.data.pretraining_examples.rows import MOVED, PAIR, Ints, PackedBatch, Uniforms, integer_between
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.text.store import Split

Pairs = Literal["next", "order", "none"]

AHEAD = 64  # documents checked at once for the next one with two sentences
CHUNK = 1 << 20  # documents counted at once
SHORT = 0.1  # short_seq_prob of BERT's create_pretraining_data.py


class _Spans(NamedTuple):
    """First token and length of the segments of N pairs, and whether B does not follow A."""

    a_start: Ints
    a_length: Ints
    b_start: Ints
    b_length: Ints
    wrong: NDArray[np.bool_]


class SegmentPairs:
    """Two segments of text: [CLS] A [SEP] B [SEP], padded at the end.

    pairs "next", BERT's next-sentence prediction: B is the text that follows A (label 0) or a stretch of another
    document (label 1), half and half (Devlin et al. 2019, section 3.1, task 2, and appendix A.2). "order",
    ALBERT's sentence order: B follows A (0), or the two are swapped (1), half and half (Lan et al. 2020,
    section 3.1). "none": B always follows A.

    create_pretraining_data.py cuts each document, from its start, into chunks of whole sentences that follow
    each other, once per pass, and shuffles the list of all pairs. Here a pair is a chunk that is found by itself
    (`Chunks`): a run resumes without a list, and each epoch cuts elsewhere. The target length is short with chance
    0.1, any from 2 on, and is the same for all chunks that a pass makes of a document.

    Smaller departures. A chunk has two sentences or more, if its document has: where there is only a last or
    a very long one, the sentence before or after it is added. (There, such a chunk always gets a random B;
    here anchors would meet long sentences so often that most pairs of some corpora were random.) Of a segment that
    is too long, every stretch of the right length is kept with the same chance; there, a coin per token decides
    between front and back, so that the middle is kept. Sentences that a random B replaces are not used again.
    Documents are met in proportion to their tokens, there once a pass each. On chapters of novels, of rows of 512 and
    of 128 tokens, 21.7 and 3.7 % are under half of the length with `next` (BERT's script: 20.7 and 7.5 %), and 22.9 and
    3.5 % with `order` (ALBERT's: 24.7 and 7.5 %).

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
                hint="separate the documents of the corpus, or leave next-sentence prediction out: "
                "objective.next_sentence=false, objective.pairs=order",
            )
        if split.tokens and split.sentences == len(split):
            raise DataError(
                "pairs need documents of two sentences or more, and there is none",
                hint="tokenize with another sentence segmentation, or keep lines together as documents",
            )
        self.split, self.length, self.pairs = split, length, pairs
        self.cls, self.sep, self.pad = cls, sep, pad
        self.longest = length - 3
        self.chunks = Chunks(split, _chances(self.longest), seed, per="document", least=2)
        spans = self._spans(self.chunks.sample(), RandomStreams(seed, 0))
        self.chunks.read_once(spans.a_length + spans.b_length)

    def __len__(self) -> int:
        """Pairs per epoch."""
        return self.chunks.number

    def take(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> PackedBatch:
        """Pairs `indices` [N] of `epochs` [N]."""
        spans = self._spans(self.chunks.anchors(indices, epochs), draws)
        return self._rows(spans)

    def pieces(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> Pieces:
        """The two segments of each of these pairs."""
        spans = self._spans(self.chunks.anchors(indices, epochs), draws)
        start = np.stack((spans.a_start, spans.b_start), 1)
        length = np.stack((spans.a_length, spans.b_length), 1)
        column = np.stack((np.ones_like(spans.a_length), spans.a_length + 2), 1)
        row = np.repeat(np.arange(len(indices)), 2)
        return Pieces(row, column.ravel(), start.ravel(), (start + length).ravel())

    def _spans(self, anchors: Ints, draws: RandomStreams) -> _Spans:
        """The segments of the pairs at these token positions."""
        split = self.split
        if self.pairs != "next":
            anchors = self._moved(anchors, draws)
        u = draws.uniform(PAIR, len(anchors), 8).T
        target = self.chunks.target(u[0])
        document, first, last = self.chunks.at(anchors, target)
        alone = first == last
        middle = np.where(alone, last + 1, integer_between(u[2], first + 1, last))
        a_2N = split.starts(np.stack((first, middle)))
        b_2N = split.starts(np.stack((middle, last + 1)))
        wrong = (u[3] < 0.5) & (self.pairs != "none")
        if self.pairs == "next":
            wrong |= alone
            b_2N = np.where(wrong, self._elsewhere(document, target - (a_2N[1] - a_2N[0]), u[4], u[5]), b_2N)
        else:
            a_2N, b_2N = np.where(wrong, (b_2N, a_2N), (a_2N, b_2N))
        a_length, b_length = fit(a_2N[1] - a_2N[0], b_2N[1] - b_2N[0], self.longest)
        a_start = integer_between(u[6], a_2N[0], a_2N[1] - a_length)
        b_start = integer_between(u[7], b_2N[0], b_2N[1] - b_length)
        return _Spans(a_start, a_length, b_start, b_length, wrong)

    def share_alone(self) -> float:
        """Share of pairs whose second segment is random because their document has one sentence, from a sample."""
        if self.pairs != "next" or not self.split.tokens:
            return 0.0
        return float((self._sentences(self.split.document_at(self.chunks.sample())) == 1).mean())

    def documents_without_pair(self) -> int:
        """Number of one-sentence documents that no pair shows. Reads the store's index once."""
        if self.pairs == "next":
            return 0
        total = 0
        for first in range(0, len(self.split), CHUNK):
            some = np.arange(first, min(first + CHUNK, len(self.split)))
            total += int((self._sentences(some) == 1).sum())
        return total

    def _moved(self, anchors: Ints, draws: RandomStreams) -> Ints:
        """The anchors; those in documents of one sentence are moved to any token of the next longer document."""
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
        places = integer_between(u, self.split.starts(begin), self.split.starts(stop) - 1)
        return np.where(found == document, anchors, places)

    def _sentences(self, documents: Ints) -> Ints:
        begin, stop = self.split.sentence_range(documents)
        return stop - begin

    def _elsewhere(self, own: Ints, target: Ints, which: Uniforms, where: Uniforms) -> tuple[Ints, Ints]:
        """Tokens [start, stop) of whole sentences of any document but `own`, up to the target."""
        other = (own + integer_between(which, 1, len(self.split) - 1)) % len(self.split)
        begin, stop = self.split.sentence_range(other)
        first = integer_between(where, begin, stop - 1)
        return self.split.starts(first), self.split.starts(self.chunks.last(first, stop, target) + 1)

    def _rows(self, spans: _Spans) -> PackedBatch:
        a_start, a_length, b_start, b_length, wrong = spans
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
        return PackedBatch(ids_NT, lengths, types_NT.astype(np.int64), wrong.astype(np.int64))


def fit(a: Ints, b: Ints, longest: int) -> tuple[Ints, Ints]:
    """Lengths of two segments after truncating the longer one until both fit; on a tie, b.

    The outcome of BERT's truncate_seq_pair, without its loop.
    """
    a_kept = np.where(a + b > longest, np.minimum(a, np.maximum((longest + 1) // 2, longest - b)), a)
    return a_kept, np.minimum(b, longest - a_kept)


def _chances(longest: int) -> Uniforms:
    """Probability of each target length up to `longest`: short with probability SHORT, then any from 2 on."""
    chances = np.zeros(longest + 1)
    chances[2:] = SHORT / (longest - 1)
    chances[longest] += 1 - SHORT
    return chances
