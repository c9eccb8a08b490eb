"""Rows of a labelled task: encoded once into a store, read back as a model's input.

A model input is a document of the store, each of its texts a sentence with a separator at its end, not truncated; so
a text may be empty, and another maximum length needs no new encoding. The special tokens of a row, such as [CLS] and
[SEP], are added when it is read. A row is one document, or one for each of its choices. Labels lie beside the store:
PREFIX.labels, float64, as many numbers a row as the kind of task has.
"""

# N rows (documents, where a row has several), P texts of a document, T tokens

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.data.pretraining_examples import fit
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError
from nlptool.formatting import counted, percent
from nlptool.text.row_template import RowTemplate
from nlptool.text.store import Split, SplitWriter, dtype_for
from nlptool.text.tabular import Example
from nlptool.text.tokenizer import Tokenizer

Ints = NDArray[np.int64]
AT_ONCE = 1000  # rows encoded together


class Truncation(NamedTuple):
    """In how many rows of a split a limit is exceeded."""

    what: str
    """Part of a row, e.g. text."""
    key: str
    """Key of the recipe that sets the limit."""
    limit: int
    """In tokens."""
    rows: int
    effect: str = "is cut"

    def message(self, count: int) -> str:
        """A sentence for the user, with the key. count: rows of the split."""
        return f"in {percent(self.rows / count)} of {count:,} rows {self._effect()} ({self.key})"

    def message_of_rows(self) -> str:
        """The same of rows that belong to no split."""
        return f"{counted(self.rows, 'rows')}: {self._effect()}"

    def _effect(self) -> str:
        return f"the {self.what} has more than {self.limit:,} tokens and {self.effect}"


@dataclass(frozen=True)
class EncodedBatch:
    """Some rows, as a model reads them. Each row has C consecutive documents: N is rows times C."""

    ids: Ints
    """[N, T], [CLS] A [SEP] or [CLS] A [SEP] B [SEP], or what a decoder has in their place, padded at the end to the
    longest of them."""
    types: Ints
    """[N, T], 0 up to the first [SEP], 1 up to the second."""
    lengths: Ints
    """[N], real tokens."""
    labels: NDArray[np.float64]
    """[rows, numbers a label has]."""
    rows: Ints
    """[rows], their numbers."""


def write(examples: Iterable[Example], tokenizer: Tokenizer, prefix: Path) -> int:
    """Encode examples into a store at `prefix`, in bounded memory, and return the number of rows."""
    separator = next((tokenizer.special[role] for role in ("sep", "eos") if role in tokenizer.special), 0)
    source, rows = iter(examples), 0
    writer = SplitWriter(prefix, dtype_for(tokenizer.vocab_size))
    try:
        with prefix.with_suffix(".labels").open("wb") as labels:
            while some := list(islice(source, AT_ONCE)):
                documents = [texts for example in some for texts in example.inputs]
                encoded = tokenizer.encode_batch([text for texts in documents for text in texts])
                lengths = np.array([len(ids) + 1 for ids in encoded], np.int32)
                ids = np.fromiter(chain.from_iterable((*ids, separator) for ids in encoded), np.int64)
                counts = np.array([len(texts) for texts in documents], np.int64)
                writer.add_many(ids, lengths, counts)
                labels.write(np.array([example.label for example in some], "<f8").data)
                rows += len(some)
        writer.close()
    finally:
        writer.abandon()
    return rows


def special_ids(tokenizer: Tokenizer | Vocabulary) -> Mapping[str, int]:
    """Ids of [CLS], [SEP] and [PAD]. Raises DataError where one is missing."""
    missing = [role for role in ("cls", "sep", "pad") if role not in tokenizer.special]
    if missing:
        raise DataError(f"the tokenizer has no {', '.join(missing)} token, as an encoder's has")
    return tokenizer.special


class TextPairDataset:
    """A split of such rows, by random access, cut to at most `length` tokens.

    choices: documents of each row; all have the same number.
    """

    def __init__(
        self, split: Split, length: int, *, template: RowTemplate, pad: int, choices: int = 1
    ) -> None:
        self.split, self.choices = split, choices
        self.pad = pad
        documents = len(split)
        labels = np.fromfile(split.prefix.with_suffix(".labels"), "<f8")
        self.labels = labels.reshape(documents // choices, -1)
        """[N, numbers a label has]."""
        self.count, self.labelled = len(self.labels), not np.isnan(self.labels).any()
        first, last = split.sentence_range(np.arange(documents))
        parts = int((last - first).max()) if documents else 1
        sentences = (first[:, None] + np.arange(parts)).ravel()
        self.begins = split.starts(sentences).reshape(documents, parts)
        """[documents, P], index in the split of each text's first token."""
        ends = split.starts(sentences + 1).reshape(documents, parts)
        whole = ends - self.begins - 1
        self._whole = whole
        self._around = [np.array(ids, np.int64) for ids in template.around(parts)]
        further = sum(map(len, self._around))
        self.sizes = truncated(whole, length - further)
        """[documents, P], tokens of each text that are kept."""
        is_cut = (self.sizes < whole).any(1).reshape(-1, choices).any(1)
        self.cuts: tuple[Truncation, ...] = (
            Truncation("text", "train.sequence_length", length, int(is_cut.sum())),
        )
        self.document_lengths: Ints = np.maximum(self.sizes.sum(1) + further, 1)
        """[documents], tokens of each, special ones included; an empty document is one padding token."""
        self.lengths: Ints = self.document_lengths.reshape(-1, choices).max(1, initial=0)
        """[N], tokens of each row's longest document, special ones included."""

    def __len__(self) -> int:
        return len(self.lengths)

    def cut_off(self, row: int, choice: int = 0) -> list[list[int]]:
        """The tokens cut off each text of a document."""
        document = row * self.choices + choice
        begins, sizes = self.begins[document], self.sizes[document]
        found = zip(begins + sizes, begins + self._whole[document], strict=True)
        return [self.split.read(int(first), int(last)).tolist() for first, last in found]

    def take(self, indices: Ints) -> EncodedBatch:
        """Rows `indices` [N]."""
        documents = (indices[:, None] * self.choices + np.arange(self.choices)).ravel()
        lengths = self.document_lengths[documents]
        ids_NT = np.full((len(documents), int(lengths.max())), self.pad, np.int64)
        types_NT = np.zeros_like(ids_NT)
        first, *behind = self._around
        ids_NT[:, : len(first)] = first
        for ids_T, types_T, document in zip(ids_NT, types_NT, documents, strict=True):
            at = len(first)
            for part, begin in enumerate(self.begins[document]):
                end = at + self.sizes[document, part]
                ids_T[at:end] = self.split.read(begin, begin + end - at)
                begun, at = at, end + len(behind[part])
                ids_T[end:at] = behind[part]
                types_T[begun:at] = part
        return EncodedBatch(ids_NT, types_NT, lengths, self.labels[indices], indices)


def truncated(sizes_NP: Ints, room: int) -> Ints:
    """Tokens of each text after truncation to `room` tokens, [N, P]; P is 1 or 2.

    Tokens are taken off the end of the longer text, of the second where both are equally long, until both fit
    (_truncate_seq_pair of google-research/bert run_classifier.py, here in one go).
    """
    if sizes_NP.shape[1] == 1:
        return np.minimum(sizes_NP, room)
    a_N, b_N = sizes_NP.T
    return np.stack(fit(a_N, b_N, room), 1)
