"""A cache of the ids of words, for tokenizers that split at white space first, such as BERT's.

The ids of such a word do not depend on its context, so `tokenizers` encodes each word once. If a sentence ends
within a word, the word is encoded as a whole, and each token goes to the sentence in which it begins.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, count, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool.text.coverage import Loss
from nlptool.text.sentences import ENDERS, WHITE
from nlptool.text.tokenizer import AT_ONCE, Tokenizer

LONGEST = 32  # characters; a longer word is not cached
WORDS, IDS = 1 << 19, 1 << 22  # words in memory, after which the cache is emptied
ODD = "\v\f\x85"  # white space that BERT's normaliser removes, so that it ends no word
SPACE = "".join(character for character in WHITE if character not in ODD)
UNLIKE = f"{ODD}\x1c-\x1f"  # further characters at which str.split ends a word
CHINESE = (  # characters that BERT's normaliser puts between spaces (BERT's tokenization.py, _is_chinese_char)
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f"
    "\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)
FIRST = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")
AFTER = ("Punctuation", "Digits", *FIRST)
LOCAL = ("BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")

Part = tuple[tuple[str, ...], int]
"""A word within which sentences end, as its parts by sentence; and the numbers of these sentences."""
Encoding = tuple[NDArray[np.int32], NDArray[np.int32]]


def word_by_word(content: Mapping[str, Any]) -> bool:
    """Whether the ids of a word are independent of the text beyond the white space around it.

    content: tokenizer.json. No normaliser looks across white space, the pre-tokenizer splits there and drops it, and
    the model encodes each piece separately.
    """
    before = _steps(content.get("pre_tokenizer"), "pretokenizers")
    return (
        bool(before)
        and before[0] in FIRST
        and all(step in AFTER for step in before)
        and all(step in LOCAL for step in _steps(content.get("normalizer"), "normalizers"))
        and not content["model"].get("dropout")
        and all(token["special"] for token in content.get("added_tokens") or ())
    )


def _steps(block: Mapping[str, Any] | None, inner: str) -> list[str]:
    if not block:
        return []
    return [step["type"] for step in block[inner]] if block["type"] == "Sequence" else [block["type"]]


class WordEncoder:
    """Encodes documents word by word, for a tokenizer that is `word_by_word`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        normalizer = tokenizer.content.get("normalizer") or {}
        before = tokenizer.content["pre_tokenizer"]["type"]
        bert = before == "BertPreTokenizer" and normalizer.get("type") in (None, "BertNormalizer")
        chinese = CHINESE if normalizer.get("handle_chinese_chars") else ""
        # Characters that end a word; a full stop is a word of its own.
        self._ends = SPACE + (ENDERS if bert else "")
        # In a text that str.split does not split into its words.
        self._unlike = re.compile(f"[{UNLIKE}{chinese}]")
        self._word = re.compile(f"[{chinese}]|[^{SPACE}{chinese}]+" if chinese else f"[^{SPACE}]+")
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[str | Part, int] = {}
        self._ids = np.empty(0, np.int32)
        # By number: offset of its ids, how many, how many unknown, bytes lost.
        self._table = np.empty((0, 4), np.int32)
        self._characters: dict[int, Counter[str]] = {}  # characters lost of a word

    def __call__(self, documents: Sequence[Sequence[str]], loss: Loss | None = None) -> Encoding:
        """Ids of the documents end to end, and the number of each sentence. loss: losses are added to it."""
        if len(self._table) > WORDS or len(self._ids) > IDS:
            self._forget()
        sentences = [words for document in documents for words in self._words(document)]
        words = list(chain.from_iterable(sentences))
        known = list(map(self._numbers.get, words))
        new = [place for place, number in enumerate(known) if number is None]
        missing = list(dict.fromkeys(words[place] for place in new))
        self._learn(missing)
        for place in new:
            known[place] = self._numbers[words[place]]
        numbers = np.array(known, np.int64)
        starts, counts = self._table[numbers, 0], self._table[numbers, 1]
        ends = np.concatenate([[0], np.cumsum(counts)])
        at = np.repeat(starts - ends[:-1], counts)
        at += np.arange(len(at))
        if loss is not None:
            loss += Loss(len(at), 0, sum(len(text.encode()) for text in chain.from_iterable(documents)))
            self._add_losses(numbers, loss)
        for word in missing:
            if len("".join(word[0]) if isinstance(word, tuple) else word) > LONGEST:
                del self._numbers[word]
        last = np.cumsum([0, *map(len, sentences)])
        return self._ids[at], np.diff(ends[last]).astype(np.int32)

    def _words(self, sentences: Sequence[str]) -> list[list[Any]]:
        """The words of each sentence of a document, str or Part."""
        split = self._word.findall if self._unlike.search("".join(sentences)) else str.split
        found: list[list[Any]] = [split(sentence) for sentence in sentences]
        full = [number for number, sentence in enumerate(sentences) if sentence]
        runs: list[list[int]] = []  # consecutive sentences that end within a word
        for one, other in pairwise(full):
            if sentences[one][-1] not in self._ends and sentences[other][0] not in SPACE:
                if runs and runs[-1][-1] == one and len(found[one]) == 1:
                    runs[-1].append(other)
                else:
                    runs.append([one, other])
        for run in runs:
            parts = tuple(found[number][0 if place else -1] for place, number in enumerate(run))
            for place, number in enumerate(run):
                found[number][0 if place else -1] = (parts, place)
        return found

    def _learn(self, words: Sequence[str | Part]) -> None:
        """Encode and store new words."""
        whole = list(dict.fromkeys((word,) if isinstance(word, str) else word[0] for word in words))
        tables, found = [self._table], [self._ids]
        rows, begin = len(self._table), len(self._ids)
        for start in range(0, len(whole), AT_ONCE):
            parts: list[str] = []
            for word in whole[start : start + AT_ONCE]:
                keys = word if len(word) == 1 else product([word], range(len(word)))
                self._numbers |= zip(keys, count(rows + len(parts)))
                parts += (*word[:-1], word[-1] + " ")
            text = "".join(parts)
            ((ids, places),) = self._tokenizer.encode_offsets([text])
            unknown, lost = self._tokenizer.coverage.of_parts(text, ids, places)
            of_token = sentence_of(parts, places)
            of_character = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
            counts = np.bincount(of_token, minlength=len(parts))
            many = np.bincount(of_token[unknown], minlength=len(parts))
            size = np.bincount(of_character, lost, minlength=len(parts))
            table = np.stack([begin + np.cumsum(counts) - counts, counts, many, size], axis=1)
            for place in np.flatnonzero(lost).tolist():
                self._characters.setdefault(rows + int(of_character[place]), Counter())[text[place]] += 1
            tables.append(table.astype(np.int32))
            found.append(np.array(ids, np.int32))
            rows, begin = rows + len(parts), begin + len(ids)
        self._table, self._ids = np.concatenate(tables), np.concatenate(found)

    def _add_losses(self, numbers: NDArray[np.int64], loss: Loss) -> None:
        unknown, lost = self._table[numbers, 2], self._table[numbers, 3]
        loss.unknown += int(unknown.sum())
        loss.lost += int(lost.sum())
        for number, often in zip(*np.unique(numbers[lost > 0], return_counts=True), strict=True):
            for character, times in self._characters[int(number)].items():
                loss.characters[character] += times * int(often)


def sentence_of(sentences: Sequence[str], places: NDArray[np.int32]) -> NDArray[np.int64]:
    """The sentence in which each token of a text begins.

    sentences: of the text, end to end. places: [tokens, 2], the characters of each token.
    """
    ends = np.cumsum([len(sentence) for sentence in sentences[:-1]])
    return np.maximum.accumulate(np.searchsorted(ends, places[:, 0], side="right"))
