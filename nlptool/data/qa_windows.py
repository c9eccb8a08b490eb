"""Extractive question answering: questions encoded once into a store, read back as windows of the context.

A question is a document of two sentences, the question and its text, both uncut, with [SEP] at their ends. Beside it
lie

PREFIX.labels    float64 [rows, 2], first and last token of the answer in the text; -1: none; NaN: hidden
PREFIX.texts     a JSON object a row: id, context (left out where it is that of the row before), answers
PREFIX.offsets   int32 [tokens of these contexts, 2], the characters that each token stands for

so that another length needs no new encoding, and windows are never stored.
"""

# N windows, R rows, T tokens

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.data.pair_inputs import AT_ONCE, EncodedBatch, Ints, Truncation, special_ids
from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.text.store import Split, SplitWriter, dtype_for
from nlptool.text.tabular import Question
from nlptool.text.tokenizer import Tokenizer


class Limits(NamedTuple):
    """Limits of questions, answers and windows, in tokens; the defaults are run_squad.py's."""

    question: int = 64
    """max_query_length."""
    answer: int = 30
    """max_answer_length."""
    stride: int = 128
    """doc_stride: from the start of a window to that of the next."""
    best: int = 20
    """n_best_size: number of answers kept."""


def write(questions: Iterable[Question], tokenizer: Tokenizer, prefix: Path) -> int:
    """Encode questions into a store at `prefix`, in bounded memory, and return their number.

    Raises DataError for a text without a token, for an answer that has none, and for a tokenizer without [SEP].
    """
    separator, source, rows = special_ids(tokenizer)["sep"], iter(questions), 0
    writer, last = SplitWriter(prefix, dtype_for(tokenizer.vocab_size)), None
    beside = [prefix.with_suffix(suffix) for suffix in (".labels", ".offsets", ".texts")]
    try:
        with beside[0].open("wb") as labels, beside[1].open("wb") as offsets, beside[2].open("wb") as texts:
            while some := list(islice(source, AT_ONCE)):
                different = list(dict.fromkeys(one.context for one in some))
                known = dict(zip(different, tokenizer.encode_places(different), strict=True))
                questions_ids = tokenizer.encode_batch([one.question for one in some])
                parts = [
                    ids
                    for one, of in zip(some, questions_ids, strict=True)
                    for ids in (of, known[one.context][0])
                ]
                ids = np.fromiter(chain.from_iterable((*part, separator) for part in parts), np.int64)
                lengths = np.array([len(part) + 1 for part in parts], np.int32)
                writer.add_many(ids, lengths, np.full(len(some), 2, np.int64))
                for one in some:
                    places = known[one.context][1]
                    labels.write(np.array(_label(one, places), "<f8").data)
                    answers = None if one.answers is None else [text for text, _ in one.answers]
                    entry: dict[str, Any] = {"id": one.id, "answers": answers}
                    if one.context != last:
                        entry["context"] = last = one.context
                        offsets.write(places.astype("<i4").data)
                    texts.write(f"{json.dumps(entry, ensure_ascii=False)}\n".encode())
                rows += len(some)
        writer.close()
    finally:
        writer.abandon()
    return rows


def _label(one: Question, places: NDArray[np.int32]) -> tuple[float, float]:
    """First and last token of the first answer: those that share a character with it."""
    if not len(places):
        raise DataError(f"{one.place}: the tokenizer finds no token in the context")
    if one.answers is None:
        return np.nan, np.nan
    if not one.answers:
        return -1, -1
    text, begin = one.answers[0]
    inside = np.flatnonzero((places[:, 1] > begin) & (places[:, 0] < begin + len(text)))
    if not len(inside):
        raise DataError(f"{one.place}: the tokenizer finds no token in the answer {json_value(text)}")
    return float(inside[0]), float(inside[-1])


class QAExample(NamedTuple):
    """Further data of a row."""

    id: str
    context: str
    answers: list[str] | None
    """The right answers; an empty list: unanswerable; None: hidden."""


class QAWindowDataset:
    """A split of such questions as windows [CLS] question [SEP] stretch of the context [SEP], by random access.

    Windows begin limits.stride tokens apart, or half a window if that is less, until one reaches the end of the
    context. Each has two decisions, 2n where the answer begins and 2n + 1 where it ends; a window without the whole
    answer points to [CLS] (google-research/bert run_squad.py).
    """

    def __init__(self, split: Split, length: int, limits: Limits, special: Mapping[str, int]) -> None:
        self.split = split
        self.cls, self.sep, self.pad = (special[role] for role in ("cls", "sep", "pad"))
        rows = len(split)
        labels_R2 = np.fromfile(split.prefix.with_suffix(".labels"), "<f8").reshape(rows, 2)
        self.count, self.labelled = rows, not np.isnan(labels_R2).any()
        first, _ = split.sentence_range(np.arange(rows))
        question_starts, text, end = (split.starts(first + part) for part in range(3))
        sizes = end - text - 1
        self._sizes = sizes
        whole, half = text - question_starts - 1, (length - 3) // 2
        most, key = min((limits.question, "task.max_query_length"), (half, "train.sequence_length"))
        question = np.minimum(whole, most)
        answer = np.where(labels_R2[:, 0] >= 0, labels_R2[:, 1] - labels_R2[:, 0] + 1, 0)
        long, endless = int((whole > most).sum()), int((answer > limits.answer).sum())
        self.cuts: tuple[Truncation, ...] = (
            Truncation("question", key, most, long),
            Truncation("answer", "task.max_answer_length", limits.answer, endless, "is never found"),
        )
        room = length - 3 - question
        step = np.minimum(limits.stride, np.maximum(1, room // 2))
        self.stride = int(step.min(initial=limits.stride))
        """Smallest distance between the starts of windows, in tokens."""
        self._counts = 1 + np.maximum(0, -(-(sizes - room) // step))
        self.row = np.repeat(np.arange(rows), self._counts)
        """[N], the question of each window."""
        number = np.arange(len(self.row)) - np.repeat(np.cumsum(self._counts) - self._counts, self._counts)
        self.first: Ints = number * step[self.row]
        """[N], first context token of each window."""
        self.size: Ints = np.minimum(room[self.row], sizes[self.row] - self.first)
        """[N], number of context tokens in each window."""
        self.before: Ints = question[self.row] + 2
        """[N], number of tokens before these."""
        self._questions, self._text = question_starts[self.row], text[self.row] + self.first
        self.lengths: Ints = self.before + self.size + 1
        begin, last = labels_R2[self.row].T
        inside = (begin >= self.first) & (last < self.first + self.size)
        outside = np.where(np.isnan(begin), np.nan, 0.0)
        found_2N = [np.where(inside, at - self.first + self.before, outside) for at in (begin, last)]
        self.labels = np.stack(found_2N, 1).reshape(-1, 1)
        """[2N, 1], positions within windows; 0 is that of [CLS]."""

    def __len__(self) -> int:
        return len(self.row)

    def take(self, indices: Ints) -> EncodedBatch:
        """Windows `indices` [N]."""
        lengths = self.lengths[indices]
        ids_NT = np.full((len(indices), int(lengths.max())), self.pad, np.int64)
        types_NT = np.zeros_like(ids_NT)
        ids_NT[:, 0] = self.cls
        for ids_T, types_T, window in zip(ids_NT, types_NT, indices, strict=True):
            before, size = self.before[window], self.size[window]
            ids_T[1 : before - 1] = self.split.read(
                self._questions[window], self._questions[window] + before - 2
            )
            ids_T[before - 1] = ids_T[before + size] = self.sep
            ids_T[before : before + size] = self.split.read(self._text[window], self._text[window] + size)
            types_T[before : before + size + 1] = 1
        decisions = (2 * indices[:, None] + np.arange(2)).ravel()
        return EncodedBatch(ids_NT, types_NT, lengths, self.labels[decisions], decisions)

    def texts(self) -> Iterator[tuple[QAExample, range, NDArray[np.int32]]]:
        """For each row its data, the numbers of its windows, and the characters of its tokens."""
        offsets = np.memmap(self.split.prefix.with_suffix(".offsets"), "<i4", "r").reshape(-1, 2)
        rows = zip(self._sizes.tolist(), accumulate(self._counts.tolist()), strict=True)
        with self.split.prefix.with_suffix(".texts").open("rb") as lines:
            context, window, tokens = "", 0, slice(0, 0)
            for line, (size, end) in zip(lines, rows, strict=True):
                entry: dict[str, Any] = json.loads(line)
                if "context" in entry:
                    context, tokens = entry["context"], slice(tokens.stop, tokens.stop + size)
                yield QAExample(entry["id"], context, entry["answers"]), range(window, end), offsets[tokens]
                window = end
