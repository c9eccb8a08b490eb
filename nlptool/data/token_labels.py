"""Token classification: tagged sentences encoded once into a store, read back with the positions of tags.

A sentence is a document of one sentence, not truncated, with [SEP] at its end. Beside the store lie

PREFIX.labels    float64 [tokens of all rows], the number of each token's tag; NaN: hidden
PREFIX.pieces    int32 [tokens of all rows], the first piece that begins in a token, else the piece that it continues;
                 SPACE for white space, NOTHING for what the tokenizer drops
PREFIX.counts    int64 [rows], tokens of each

where tokens are those of the data, words or characters, and pieces those of the tokenizer.
"""

# R rows, A tokens of all rows, N decisions, T pieces

from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.data.pair_inputs import AT_ONCE, EncodedBatch, Ints, Truncation, special_ids
from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.text.store import Split, SplitWriter, dtype_for
from nlptool.text.tabular import Sentence
from nlptool.text.tokenizer import Tokenizer

NOTHING, SPACE = -1, -2


def write(sentences: Iterable[Sentence], tokenizer: Tokenizer, prefix: Path) -> int:
    """Encode sentences into a store at `prefix`, in bounded memory; returns how many there are.

    Raises DataError for a sentence in which the tokenizer finds no piece, and for a tokenizer without [SEP].
    """
    separator, source, rows = special_ids(tokenizer)["sep"], iter(sentences), 0
    writer = SplitWriter(prefix, dtype_for(tokenizer.vocab_size))
    beside = [prefix.with_suffix(suffix) for suffix in (".labels", ".pieces", ".counts")]
    try:
        with beside[0].open("wb") as labels, beside[1].open("wb") as pieces, beside[2].open("wb") as counts:
            while some := list(islice(source, AT_ONCE)):
                encoded = tokenizer.encode_places([one.between.join(one.tokens) for one in some])
                ids = np.fromiter(chain.from_iterable((*of, separator) for of, _ in encoded), np.int64)
                lengths = np.array([len(of) + 1 for of, _ in encoded], np.int32)
                writer.add_many(ids, lengths, np.ones(len(some), np.int64))
                for one, (_, places) in zip(some, encoded, strict=True):
                    where = pieces_of(one, places)
                    if where.max() < 0:
                        raise DataError(
                            f"{one.place}: the tokenizer finds nothing in {json_value(' '.join(one.tokens))}"
                        )
                    tags = [np.nan] * len(where) if one.tags is None else one.tags
                    labels.write(np.array(tags, "<f8").data)
                    pieces.write(where.astype("<i4").data)
                counts.write(np.array([len(one.tokens) for one in some], "<i8").data)
                rows += len(some)
        writer.close()
    finally:
        writer.abandon()
    return rows


def pieces_of(sentence: Sentence, places: NDArray[np.int32]) -> Ints:
    """[tokens], as PREFIX.pieces has it. places: [T, 2], the characters that each piece stands for."""
    sizes = [len(token) + len(sentence.between) for token in sentence.tokens]
    begins = np.cumsum([0, *sizes[:-1]])
    where = np.array([SPACE if token.isspace() else NOTHING for token in sentence.tokens])
    first_T = np.searchsorted(begins, places[:, 0], "right") - 1
    last_T = np.searchsorted(begins, places[:, 1] - 1, "right") - 1
    for piece, (begin, end) in enumerate(places.tolist()):
        if begin < end:
            inside = where[first_T[piece] : last_T[piece] + 1]
            inside[inside == NOTHING] = piece
    return where


class TokenLabelBatch(NamedTuple):
    """Some sentences, and where their tags are predicted."""

    encoded: EncodedBatch
    documents: Ints
    """[N], index of each decision's sentence."""
    positions: Ints
    """[N], its position in the sentence."""


class TokenLabelDataset:
    """A split of such sentences, by random access, cut to at most `length` tokens.

    Each token in which a kept piece begins has a decision.
    """

    def __init__(self, split: Split, length: int, *, cls: int, sep: int, pad: int) -> None:
        self.split = split
        self.cls, self.sep, self.pad = cls, sep, pad
        self.counts: Ints = np.fromfile(split.prefix.with_suffix(".counts"), "<i8")
        """[R], tokens of each row."""
        self.tags = np.fromfile(split.prefix.with_suffix(".labels"), "<f8")
        """[A], the number of each token's tag."""
        where_A = np.fromfile(split.prefix.with_suffix(".pieces"), "<i4").astype(np.int64)
        rows = len(split)
        first, _ = split.sentence_range(np.arange(rows))
        self._begins = split.starts(first)
        sizes = split.starts(first + 1) - self._begins - 1
        kept = np.minimum(sizes, length - 2)
        self.lengths: Ints = kept + 2
        self.count, self.labelled = rows, not np.isnan(self.tags).any()
        self.cuts: tuple[Truncation, ...] = (
            Truncation("sentence", "train.sequence_length", length, int((kept < sizes).sum())),
        )
        row_A = np.repeat(np.arange(rows), self.counts)
        read_A = (where_A >= 0) & (where_A < kept[row_A])
        continues = np.zeros(len(where_A), bool)
        continues[1:] = (where_A[1:] == where_A[:-1]) & (row_A[1:] == row_A[:-1])
        self.begins = read_A & ~continues
        """[A], whether a token has its own decision."""
        self.decision: Ints = np.where(read_A, np.cumsum(self.begins) - 1, -1)
        """[A], the decision that a token takes its tag from; -1: none."""
        self.spaces = where_A == SPACE
        """[A], whether a token is white space."""
        self.labels = self.tags[self.begins][:, None]
        """[N, 1], tags by number."""
        self._positions = where_A[self.begins] + 1
        self._last = np.cumsum(np.bincount(row_A[self.begins], minlength=rows))

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, indices: Ints) -> TokenLabelBatch:
        """Sentences `indices`."""
        lengths = self.lengths[indices]
        ids_BT = np.full((len(indices), int(lengths.max())), self.pad, np.int64)
        ids_BT[:, 0] = self.cls
        for ids_T, row, length in zip(ids_BT, indices, lengths, strict=True):
            ids_T[1 : length - 1] = self.split.read(self._begins[row], self._begins[row] + length - 2)
            ids_T[length - 1] = self.sep
        decisions = [np.arange(self._last[row - 1] if row else 0, self._last[row]) for row in indices]
        numbers = np.concatenate(decisions)
        documents = np.repeat(np.arange(len(indices)), [len(some) for some in decisions])
        encoded = EncodedBatch(ids_BT, np.zeros_like(ids_BT), lengths, self.labels[numbers], numbers)
        return TokenLabelBatch(encoded, documents, self._positions[numbers])
