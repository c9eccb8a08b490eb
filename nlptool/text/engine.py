"""Bulk encoding: sentences of documents to ids, by the fastest library that gives the tokenizer's own ids.

tiktoken encodes byte-level BPE several times faster than `tokenizers` on one core and gives the same ids: on every
Unicode character in several contexts (a test), on the head of each corpus, and on a stretch of every batch.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import tiktoken
from numpy.typing import NDArray

from nlptool.text import words
from nlptool.text.tokenizer import Tokenizer

EngineName = Literal["tiktoken", "tokenizers"]

# GPT-2's splitting of text before merging, as `tokenizers` does it (Radford et al. 2019, encoder.py).
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
MONSTER = 1 << 14  # characters; so long a sentence may have been cut within a word

NONE = np.empty(0, np.int32)

Documents = Sequence[Sequence[str]]
"""Sentences by document."""
Encoding = tuple[NDArray[np.int32], NDArray[np.int32]]


class EngineDiffers(Exception):
    """tiktoken gave other ids than the tokenizer."""


class Engine:
    """Encodes documents. Raises ValueError where tiktoken cannot stand for the tokenizer."""

    def __init__(self, tokenizer: Tokenizer, name: EngineName) -> None:
        self.name = name
        self._tokenizer = tokenizer
        if name == "tiktoken":
            ids = mergeable(tokenizer)
            if ids is None:
                raise ValueError("not a byte-level BPE of GPT-2's form")
            ranks = {token: rank for rank, token in enumerate(ids)}
            self._fast = tiktoken.Encoding(
                "nlptool", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={}
            )
            self._ids = np.array(list(ids.values()), np.int32)
            self._sizes = np.array([len(token) for token in ids], np.int64)

    def encode(self, documents: Documents) -> Encoding:
        """Ids of the documents' sentences end to end, and how many each sentence has."""
        if self.name == "tokenizers":
            return _joined(self._tokenizer.encode_batch(list(chain.from_iterable(documents))))
        if len(documents) > 1 and all(map(_seamless, documents)):
            encoded = self._at_once(documents)
            if encoded is not None:
                return encoded
        parts = [self._one(sentences) for sentences in documents]
        ids, lengths = zip(*parts, strict=True) if parts else ((), ())
        return np.concatenate([NONE, *ids]), np.concatenate([NONE, *lengths])

    def verify(self, documents: Documents) -> None:
        """Raise EngineDiffers unless the tokenizer gives the same ids for these documents."""
        theirs = _joined(self._tokenizer.encode_batch(list(chain.from_iterable(documents))))
        if not all(map(np.array_equal, self.encode(documents), theirs)):
            raise EngineDiffers

    def _one(self, sentences: Sequence[str]) -> Encoding:
        if len(max(sentences, key=len, default="")) < MONSTER:
            encoded = self._at_once([sentences])
            if encoded is not None:
                return encoded
        ranks, lengths = _joined([self._fast.encode_ordinary(sentence) for sentence in sentences])
        return self._ids[ranks], lengths

    def _at_once(self, documents: Documents) -> Encoding | None:
        """All in one call, and the sentences found again by their bytes; None if a token spans two of them.

        Between documents that neither begin nor end with white space, a newline is a token of its own.
        """
        pieces = [piece for sentences in documents for piece in (*sentences, "\n")]
        pieces.pop()
        ranks = np.array(self._fast.encode_ordinary("".join(pieces)), np.int32)
        ends = np.cumsum(self._sizes[ranks])
        bounds = np.cumsum([len(piece) if piece.isascii() else len(piece.encode()) for piece in pieces])
        after = np.searchsorted(ends, bounds)
        if len(ranks) == 0 or not np.array_equal(ends[np.minimum(after, len(ends) - 1)], bounds):
            return None
        lengths = np.diff(after + 1, prepend=0).astype(np.int32)
        separators = np.cumsum([len(sentences) + 1 for sentences in documents])[:-1] - 1
        ids = np.delete(self._ids[ranks], after[separators])
        return ids, np.delete(lengths, separators)


def choose(tokenizer: Tokenizer, texts: Sequence[str]) -> EngineName:
    """The faster engine if it gives the tokenizer's ids for these texts."""
    if mergeable(tokenizer) is None:
        return "tokenizers"
    try:
        Engine(tokenizer, "tiktoken").verify([[text] for text in texts])
    except EngineDiffers:
        return "tokenizers"
    return "tiktoken"


def mergeable(tokenizer: Tokenizer) -> dict[bytes, int] | None:
    """Tokens in the order of their merges with their ids, bytes first; None where tiktoken has other rules."""
    content: dict[str, Any] = tokenizer.content
    model, before = content["model"], content.get("pre_tokenizer") or {}
    plain = (
        model["type"] == "BPE"
        and not content.get("normalizer")
        and before.get("type") == "ByteLevel"
        and not before.get("add_prefix_space")
        and before.get("use_regex", True)
        and not any(model.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        and not any(model.get(key) for key in ("byte_fallback", "ignore_merges"))
        and all(token["special"] for token in content.get("added_tokens") or ())
    )
    if not plain:
        return None
    table, vocab = words.byte_table(), model["vocab"]
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    names = [*table, *("".join(pair) for pair in pairs)]
    if len(set(names)) < len(names) or any(name not in vocab for name in names):
        return None
    if any(character not in table for name in names for character in name):
        return None
    return {bytes(table[c] for c in name): vocab[name] for name in names}


def _seamless(sentences: Sequence[str]) -> bool:
    """Whether a document begins and ends with something visible, and every sentence is of ordinary size."""
    if not sentences or max(map(len, sentences)) >= MONSTER:
        return False
    return not (sentences[0][0].isspace() or sentences[-1][-1].isspace())


def _joined(encoded: Sequence[list[int]]) -> Encoding:
    lengths = np.array([len(ids) for ids in encoded], np.int32)
    return np.array([token for ids in encoded for token in ids], np.int32), lengths
