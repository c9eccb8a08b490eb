"""Fast encoding of many sentences, to the same ids as the tokenizer's.

Byte-level BPE merges each piece of text separately, so numpy splits the pieces and a table caches their ids; new
ones go to tiktoken. For tokenizers that split at white space first, such as BERT's, the ids of each word are cached.
Both are compared with `tokenizers` on whole documents: on Unicode's characters (tests), on the head of each corpus,
and on a stretch of every batch.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import tiktoken
from numpy.typing import NDArray

from nlptool.text import word_boundaries
from nlptool.text.coverage import Loss
from nlptool.text.gpt2_pretokenizer import UnknownCharacterError, split
from nlptool.text.pretoken_cache import PretokenCache
from nlptool.text.token_places import TokenPlaces
from nlptool.text.tokenizer import Tokenizer
from nlptool.text.word_encoder import Encoding, WordEncoder, sentence_of, word_by_word

EngineName = Literal["tiktoken", "words", "tokenizers"]

# GPT-2's splitting of text before merging, as `tokenizers` does it (Radford et al. 2019, encoder.py).
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
STRETCH = 1 << 20  # characters encoded at once, to bound memory on long documents

Documents = Sequence[Sequence[str]]
"""Sentences by document."""


class EngineDiffers(Exception):
    """The faster engine's ids differ from the tokenizer's."""


class BulkEncoder:
    """Encodes documents. Raises ValueError where the engine does not support the tokenizer."""

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
            self._newline = ids[b"\n"]
            self._table = PretokenCache(self._merge)
        if name == "words":
            if not word_by_word(tokenizer.content):
                raise ValueError("not a tokenizer that splits at white space first")
            self._by_word = WordEncoder(tokenizer)

    def encode(self, documents: Documents, loss: Loss | None = None) -> Encoding:
        """Ids of the documents end to end, and the number of each sentence. loss: losses are added to it."""
        if self.name == "tokenizers":
            return self._slowly(documents, loss)
        if self.name == "words":
            return self._by_word(documents, loss)
        sentences = list(chain.from_iterable(documents))
        return _end_to_end([self._quickly(stretch) for stretch in _stretches(sentences)])

    def verify(self, documents: Documents) -> None:
        """Raise EngineDiffers unless the tokenizer gives the same ids for these documents."""
        if self.name == "tokenizers":
            return
        if not all(map(np.array_equal, self.encode(documents), self._slowly(documents))):
            raise EngineDiffers

    def places(self, documents: Documents) -> TokenPlaces:
        """The characters of each token of the documents, counted through all of them."""
        texts = ["".join(sentences) for sentences in documents]
        bases = np.cumsum([0, *map(len, texts)])[:-1]
        encoded = self._tokenizer.encode_offsets(texts)
        parts = [places.astype(np.int64) + base for (_, places), base in zip(encoded, bases, strict=True)]
        whole = np.concatenate([np.empty((0, 2), np.int64), *parts])
        return TokenPlaces(np.maximum.accumulate(whole[:, 0]), np.maximum.accumulate(whole[:, 1]))

    def _slowly(self, documents: Documents, loss: Loss | None = None) -> Encoding:
        """Encode each document as a whole, so that tokens across sentence ends stay the same; a token belongs to the
        sentence in which it begins.
        """
        found = [np.empty(0, np.int32)]
        lengths = [np.empty(0, np.int32)]
        encoded = self._tokenizer.encode_offsets(["".join(sentences) for sentences in documents], loss)
        for sentences, (ids, places) in zip(documents, encoded, strict=True):
            owner = sentence_of(sentences, places)
            found.append(np.array(ids, np.int32))
            lengths.append(np.bincount(owner, minlength=len(sentences)).astype(np.int32))
        return np.concatenate(found), np.concatenate(lengths)

    def _quickly(self, sentences: Sequence[str]) -> Encoding:
        try:
            pieces = split(sentences)
        except UnknownCharacterError:
            if len(sentences) == 1:
                return self._slowly([sentences])
            middle = len(sentences) // 2
            return _end_to_end([self._quickly(half) for half in (sentences[:middle], sentences[middle:])])
        ids, counts = self._table(pieces)
        ends = np.concatenate([[0], np.cumsum(counts)])
        return ids, np.diff(ends[np.append(pieces.first, len(counts))]).astype(np.int32)

    def _merge(self, pieces: list[bytes]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Ids of pieces end to end, and the number of each: one call for all pieces that are not white space.

        They are separated by newlines, which are pieces of their own; white-space pieces would merge with them.
        """
        texts = [piece.decode() for piece in pieces]
        blank = np.array([text.isspace() for text in texts])
        visible = "\n".join(text for text in texts if not text.isspace())
        ids = self._ids[np.array(self._fast.encode_ordinary(visible), np.int64)]
        ends = np.append(np.flatnonzero(ids == self._newline), len(ids))
        white = [self._fast.encode_ordinary(text) for text in texts if text.isspace()]
        counts = np.empty(len(texts), np.int64)
        counts[~blank] = np.diff(ends, prepend=-1)[: (~blank).sum()] - 1
        counts[blank] = [len(ranks) for ranks in white]
        merged = np.empty(counts.sum(), np.int32)
        of_blank = np.repeat(blank, counts)
        merged[~of_blank] = ids[ids != self._newline]
        merged[of_blank] = self._ids[np.array(list(chain.from_iterable(white)), np.int64)]
        return merged, counts


def choose(tokenizer: Tokenizer, texts: Sequence[str]) -> EngineName:
    """The faster engine if it gives the tokenizer's ids for these texts."""
    name: EngineName = "tiktoken" if mergeable(tokenizer) is not None else "words"
    try:
        BulkEncoder(tokenizer, name).verify([[text] for text in texts])
    except (EngineDiffers, ValueError):
        return "tokenizers"
    return name


def mergeable(tokenizer: Tokenizer) -> dict[bytes, int] | None:
    """Tokens in the order of their merges with their ids, bytes first; None if tiktoken has other rules."""
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
    table, vocab = word_boundaries.byte_table(), model["vocab"]
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    names = [*table, *("".join(pair) for pair in pairs)]
    if len(set(names)) < len(names) or any(name not in vocab for name in names):
        return None
    if any(character not in table for name in names for character in name):
        return None
    return {bytes(table[c] for c in name): vocab[name] for name in names}


def _stretches(sentences: Sequence[str]) -> Iterator[Sequence[str]]:
    """All sentences at once, or in parts if there are too many."""
    start = size = 0
    if sum(map(len, sentences)) < STRETCH:
        yield sentences
        return
    for number, sentence in enumerate(sentences, start=1):
        size += len(sentence)
        if size >= STRETCH or number == len(sentences):
            yield sentences[start:number]
            start, size = number, 0


def _end_to_end(parts: Sequence[Encoding]) -> Encoding:
    empty = np.empty(0, np.int32)
    ids, lengths = zip(*parts, strict=True) if parts else ((), ())
    return np.concatenate([empty, *ids]), np.concatenate([empty, *lengths])
