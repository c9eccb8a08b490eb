"""Rows for a decoder: encoded once into a store, read back as prompts with their answers.

A row is a document of three sentences: a context, which may be truncated, a question, which should be read whole,
and the completion, with the end-of-text token. The answer and the reference for metrics lie beside the store, a line
of JSON for each row: PREFIX.answers.
"""

# N rows, T tokens

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlptool.data.pair_inputs import Ints, Truncation
from nlptool.errors import DataError, UsageError
from nlptool.text.store import Split, SplitWriter, dtype_for
from nlptool.text.tokenizer import Tokenizer

AT_ONCE = 1000  # rows encoded together


class Prompt(NamedTuple):
    """A row: three texts, the last one the answer, and what metrics compare with."""

    context: str
    question: str
    answer: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class PromptBatch:
    """Some rows, as a model reads them."""

    ids: Ints
    """[N, T], prompt and answer, padded at the end to the longest of them."""
    prompts: Ints
    """[N], tokens of the prompt."""
    lengths: Ints
    """[N], tokens of both."""
    most: Ints
    """[N], most tokens of an answer."""
    rows: Ints
    """[N], their numbers."""


def write(prompts: Iterable[Prompt], tokenizer: Tokenizer, prefix: Path) -> int:
    """Encode rows into a store at `prefix`, in bounded memory, and return their number.

    Raises DataError for a tokenizer without a token that ends a text.
    """
    end = end_of_text(tokenizer.special)
    source, rows = iter(prompts), 0
    writer = SplitWriter(prefix, dtype_for(tokenizer.vocab_size))
    try:
        with prefix.with_suffix(".answers").open("w", encoding="utf8") as answers:
            while some := list(islice(source, AT_ONCE)):
                encoded = tokenizer.encode_batch([text for prompt in some for text in prompt[:3]])
                for ids in encoded[2::3]:
                    ids.append(end)
                lengths = np.array([len(ids) for ids in encoded], np.int32)
                ids_ = np.fromiter(chain.from_iterable(encoded), np.int64)
                writer.add_many(ids_, lengths, np.full(len(some), 3))
                for prompt in some:
                    kept = [prompt.answer.strip(), list(prompt.references)]
                    answers.write(json.dumps(kept, ensure_ascii=False) + "\n")
                rows += len(some)
        writer.close()
    finally:
        writer.abandon()
    return rows


def end_of_text(special: Mapping[str, int]) -> int:
    """Id of the end-of-text token. Raises DataError where there is none."""
    end = special.get("eos", special.get("sep"))
    if end is None:
        raise DataError(
            "the tokenizer has no token that ends a text (eos_token, or sep_token)",
            hint="name it in the tokenizer_config.json of the model's folder",
        )
    return end


class PromptDataset:
    """A split of such rows, by random access.

    Where prompt and answer are longer than `length` tokens, the context is truncated at its end, then the question
    at its beginning.

    length: most tokens of prompt and answer. answer: most tokens of an answer; a longer one is truncated, and then
    the end of the text is not learnt. Raises UsageError where an answer leaves no room.
    """

    def __init__(self, split: Split, length: int, answer: int) -> None:
        if length < answer + 2:
            raise UsageError(
                f"train.sequence_length: {length} tokens leave no room for a question beside an "
                f"answer of up to {answer}",
                hint=f"train.sequence_length={2 * answer + 2}, or a smaller max_new_tokens in the task",
            )
        self.split, self.most = split, answer
        first, _ = split.sentence_range(np.arange(len(split)))
        bounds = split.starts((first[:, None] + np.arange(4)).ravel()).reshape(-1, 4)
        begins, sizes = bounds[:, :3], np.diff(bounds, axis=1)
        context, question, whole = sizes.T
        written = np.where(whole > answer + 1, answer, whole)
        question_read = np.minimum(question, length - written)
        read = np.minimum(context, length - written - question_read)
        self._sizes = np.stack((read, question_read, written), 1)
        self._begins = begins + np.stack((0 * question_read, question - question_read, 0 * question_read), 1)
        self.lengths: Ints = self._sizes.sum(1)
        shorter = (self._sizes[:, :2] < sizes[:, :2]).any(1)
        self.cuts: tuple[Truncation, ...] = (
            Truncation("text", "train.sequence_length", length, int(shorter.sum())),
            Truncation("answer", "task.max_new_tokens", answer, int((written < whole).sum())),
        )
        self.count = len(sizes)
        with self._path.open(encoding="utf8") as lines:
            self.labelled = bool(json.loads(next(lines, '[""]'))[0])
        self.labels = np.full((self.count, 1), 0.0 if self.labelled else np.nan)

    def __len__(self) -> int:
        return self.count

    def take(self, indices: Ints) -> PromptBatch:
        """Rows `indices` [N]."""
        return _padded([self.ids(row) for row in indices.tolist()], indices)

    def ids(self, row: int) -> tuple[Ints, int, int]:
        """A row's tokens [T], the number of its prompt's, and the most that an answer may have."""
        sizes, begins = self._sizes[row].tolist(), self._begins[row].tolist()
        parts = [self.split.read(begin, begin + size) for begin, size in zip(begins, sizes, strict=True)]
        return np.concatenate(parts).astype(np.int64), sum(sizes[:2]), self.most

    @property
    def answers(self) -> list[str]:
        """The expected answer of each row; empty where it is hidden."""
        return [answer for answer, _ in self._answers]

    @property
    def references(self) -> list[list[str]]:
        """The reference of each row for metrics."""
        return [references for _, references in self._answers]

    @property
    def _path(self) -> Path:
        return self.split.prefix.with_suffix(".answers")

    @cached_property
    def _answers(self) -> list[tuple[str, list[str]]]:
        with self._path.open(encoding="utf8") as lines:
            return [(answer, references) for answer, references in map(json.loads, lines)]


class ConcatDataset:
    """Several splits, concatenated; `parts` are the originals."""

    def __init__(self, parts: Sequence[PromptDataset]) -> None:
        self.parts = parts
        self.lengths: Ints = np.concatenate([part.lengths for part in parts])
        self.labels = np.concatenate([part.labels for part in parts])
        self.count, self.labelled = len(self.lengths), True
        self.cuts: tuple[Truncation, ...] = tuple(
            alike[0]._replace(limit=min(cut.limit for cut in alike), rows=sum(cut.rows for cut in alike))
            for alike in zip(*(part.cuts for part in parts), strict=True)
        )
        self._ends = np.cumsum([part.count for part in parts])

    def __len__(self) -> int:
        return self.count

    def take(self, indices: Ints) -> PromptBatch:
        """Rows `indices` [N] of any parts."""
        of = np.searchsorted(self._ends, indices, side="right")
        inside = indices - (self._ends - [part.count for part in self.parts])[of]
        return _padded(
            [self.parts[part].ids(row) for part, row in zip(of.tolist(), inside.tolist(), strict=True)],
            indices,
        )


def _padded(rows: Sequence[tuple[Ints, int, int]], numbers: Ints) -> PromptBatch:
    ids, prompts, most = zip(*rows, strict=True)
    lengths = np.array([len(ids_T) for ids_T in ids])
    ids_NT = np.zeros((len(ids), int(lengths.max())), np.int64)
    for row, ids_T in enumerate(ids):
        ids_NT[row, : len(ids_T)] = ids_T
    return PromptBatch(ids_NT, np.array(prompts), lengths, np.array(most), numbers)
