"""Bulk encoding: sentences of a document to ids, by the fastest library that gives the tokenizer's own ids.

tiktoken encodes byte-level BPE several times faster than `tokenizers` on one core and gives the same ids: on every
Unicode character in several contexts (a test), on the head of each corpus, and on a stretch of every batch.
"""

from collections.abc import Sequence
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

    def encode(self, sentences: Sequence[str]) -> Encoding:
        """Ids of a document's sentences end to end, and how many each has."""
        if self.name == "tokenizers":
            return _joined(self._tokenizer.encode_batch(sentences))
        if len(max(sentences, key=len, default="")) < MONSTER:
            encoded = self._whole("".join(sentences), sentences)
            if encoded is not None:
                return encoded
        ranks, lengths = _joined([self._fast.encode_ordinary(sentence) for sentence in sentences])
        return self._ids[ranks], lengths

    def verify(self, sentences: Sequence[str]) -> None:
        """Raise EngineDiffers unless the tokenizer gives the same ids for these sentences."""
        if self.name == "tokenizers":
            return
        for ours, theirs in zip(
            self.encode(sentences), _joined(self._tokenizer.encode_batch(sentences)), strict=True
        ):
            if not np.array_equal(ours, theirs):
                raise EngineDiffers

    def _whole(self, text: str, sentences: Sequence[str]) -> Encoding | None:
        """The document in one call; sentences found again by their bytes. None if a token spans two of them."""
        if not text:
            return None
        ranks = np.array(self._fast.encode_ordinary(text), np.int32)
        ends = np.cumsum(self._sizes[ranks])
        bounds = np.cumsum([len(s) if s.isascii() else len(s.encode()) for s in sentences])
        after = np.searchsorted(ends, bounds)
        if not np.array_equal(ends[np.minimum(after, len(ends) - 1)], bounds):
            return None
        return self._ids[ranks], np.diff(after + 1, prepend=0).astype(np.int32)


def choose(tokenizer: Tokenizer, texts: Sequence[str]) -> EngineName:
    """The faster engine if it gives the tokenizer's ids for these texts."""
    if mergeable(tokenizer) is None:
        return "tokenizers"
    try:
        Engine(tokenizer, "tiktoken").verify(texts)
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


def _joined(encoded: Sequence[list[int]]) -> Encoding:
    lengths = np.array([len(ids) for ids in encoded], np.int32)
    return np.array([token for ids in encoded for token in ids], np.int32), lengths
