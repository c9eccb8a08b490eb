"""Rows filled with text from end to end, without padding."""

# N rows, T tokens

import numpy as np
from numpy.typing import NDArray

from nlptool.data.pretraining_examples.linked import Pieces, runs
from nlptool.data.pretraining_examples.rows import Ints, PackedBatch, epoch_offsets
from nlptool.data.random_streams import RandomStreams
from nlptool.text.store import Ids, Split


class PackedRows:
    """Rows without padding, cut from the split's text as one endless stream.

    Documents follow each other in the store's order, each followed by the token `between`; the stream starts
    again at its end. A row is `first`, a stretch of the stream, `last`; tokens that are None are left out.
    A row may hold pieces of several documents, and these see each other, as in RoBERTa's FULL-SENTENCES (Liu
    et al. 2019, section 4.2); other than there, a row may begin and end within a sentence, so none is padded.

    overlap: how many tokens of a row are also the first ones of the next. With 1, where a row's tokens are
    predicted from those before them, an epoch predicts each token of the stream once.

    BERT: first=[CLS], between=last=[SEP]. GPT-2: between=<|endoftext|>, overlap=1.

    Each epoch starts at another place of the stream, so that the cuts differ. Less than a row is left over in each
    epoch.
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

    def take(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> PackedBatch:
        """Rows `indices` [N] of `epochs` [N]; `draws` is not used."""
        ids_NT = np.empty((len(indices), self.length), np.int64)
        if self.first is not None:
            ids_NT[:, 0] = self.first
        if self.last is not None:
            ids_NT[:, -1] = self.last
        ids_NT[:, self.inner] = self._read(*self._layout(self._begins(indices, epochs)))
        return PackedBatch(ids_NT)

    def pieces(self, indices: Ints, epochs: Ints, draws: RandomStreams) -> Pieces:
        """The text between the ends of documents in these rows."""
        text, starts = self._layout(self._begins(indices, epochs))
        row, column, size = runs(text)
        before = np.cumsum(text, axis=1)[row, column] - 1
        start = (starts[row] + before) % max(self.split.tokens, 1)
        return Pieces(row, column + self.inner.start, start, start + size)

    def _begins(self, indices: Ints, epochs: Ints) -> Ints:
        return (epoch_offsets(self.seed, epochs, self.stream) + indices * self.stride) % self.stream

    def _layout(self, begin_N: Ints) -> tuple[NDArray[np.bool_], Ints]:
        """For stretches of the stream: where they have text, [N, T], and its first token, [N]."""
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
        return text, begin_N - before_N

    def _read(self, text: NDArray[np.bool_], starts: Ints) -> Ints:
        """Token ids of these stretches."""
        result = np.full(text.shape, self.between, np.int64)
        stops = starts + text.sum(1)
        result[text] = np.concatenate(
            [
                piece
                for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
                for piece in self._wrapped(a, b)
            ]
        )
        return result

    def _wrapped(self, start: int, stop: int) -> list[Ids]:
        """Tokens [start, stop) of the split repeated."""
        size = self.split.tokens
        if stop <= size:
            return [self.split.read(start, stop)]
        return [self.split.read(start, size), self.split.read(0, stop - size)]

    def _begin(self, documents: Ints) -> Ints:
        """Where documents begin in the stream; len(split) is its end."""
        sentences, _ = self.split.sentence_range(np.minimum(documents, len(self.split) - 1))
        sentences = np.where(documents < len(self.split), sentences, self.split.sentences)
        return self.split.starts(sentences) + documents

    def _document_at(self, positions: Ints) -> Ints:
        """The document at each position of the stream; its separator belongs to it."""
        low, high = np.zeros(len(positions), np.int64), np.full(len(positions), len(self.split), np.int64)
        for _ in range(len(self.split).bit_length()):
            middle = (low + high) // 2
            right = self._begin(middle) <= positions
            low, high = np.where(right, middle, low), np.where(right, high, middle)
        return low
