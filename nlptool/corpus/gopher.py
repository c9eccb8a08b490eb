"""Gopher's filters (Rae et al. 2021, appendix A.1): repetition and quality.

The decisions are those of datatrove's GopherRepetitionFilter and GopherQualityFilter where both see the same words.
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nlptool.corpus.document import Document, Dropped, Figure, Figures
from nlptool.corpus.filter_config import GopherQuality, GopherRepetition
from nlptool.corpus.words import FACTOR, LETTER, WORD, Words, words_of

ELLIPSES = ("...", "…")
TRAILING = ".,!?\"')”’…"  # noqa: RUF001
LONGEST_GRAM = 10
TIES = 4  # length of runs checked one by one


class Repetition:
    """Drops documents whose lines, paragraphs or n-grams of words repeat."""

    name = "gopher_repetition"

    def __init__(self, config: GopherRepetition) -> None:
        self._limits = {f"{self.name}.{key}": limit for key, limit in config if limit is not None}

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """Drop the document or return it unchanged."""
        return seen.first_failure(self._figures(document.text)) or document

    def _figures(self, text: str) -> Iterator[Figure]:
        size = len(text)
        for what, pieces in (("para", _paragraphs(text)), ("line", _lines(text))):
            count, characters = duplicates(pieces)
            for key, value in (("frac", count / len(pieces)), ("char_frac", characters / size)):
                rule = f"{self.name}.dup_{what}_{key}"
                if (limit := self._limits.get(rule)) is not None:
                    yield Figure(rule, value, None, limit)
        for n, top, repeated in _ngrams(words_of(text)):
            key = f"{self.name}.top_{n}_gram" if n < 5 else f"{self.name}.dup_{n}_grams"
            if (limit := self._limits.get(key)) is not None:
                yield Figure(key, (top if n < 5 else repeated) / size, None, limit)


def _paragraphs(text: str) -> list[str]:
    """Paragraphs separated by blank lines. The third of three newlines in a row belongs to no paragraph."""
    if "\n\n" not in text:
        return [text]
    return [piece.lstrip("\n") for piece in text.strip().split("\n\n") if piece.strip("\n")]


def _lines(text: str) -> list[str]:
    """Lines without blank ones; an empty one stands for newlines at either end, as datatrove counts."""
    found = [line for line in text.split("\n") if line]
    return [*([""] if text.startswith("\n") else []), *found, *([""] if text.endswith("\n") else [])] or [""]


def duplicates(pieces: list[str]) -> tuple[int, int]:
    """Number of pieces that occurred before, and their characters."""
    if len(set(pieces)) == len(pieces):
        return 0, 0
    known: set[str] = set()
    count = characters = 0
    for piece in pieces:
        if piece in known:
            count += 1
            characters += len(piece)
        else:
            known.add(piece)
    return count, characters


def _ngrams(words: Words) -> Iterator[tuple[int, int, int]]:
    """For n from 2 to 10: n, characters in the most frequent n-gram, characters in repeated n-grams.

    A longer n-gram can only repeat where both of its parts do, so each n checks the places that the previous one
    left.
    """
    hashes, total = words.hashes(), len(words)
    ends = np.zeros(total + 1, np.int64)
    np.cumsum(words.lengths, out=ends[1:])
    at: NDArray[np.int64] = np.arange(total)
    grams = hashes
    for n in range(2, LONGEST_GRAM + 1):
        if total < n:
            yield n, 0, 0
            continue
        top, count, repeated = 0, 1, 0
        if len(at):
            grams = grams[: total - n + 1] * FACTOR + hashes[n - 1 :]
            if n > 2:
                marked = np.zeros(total + 1, bool)
                marked[at] = True
                at = at[marked[at + 1]]
            at = at[: np.searchsorted(at, total - n, side="right")]
            at, top, count = _repeated(grams[at], at)
            if n >= 5 and len(at):
                repeated = _covered(grams, at, ends, n)
        yield n, (int(ends[top + n] - ends[top]) + n - 1) * count, repeated


def _repeated(grams: NDArray[np.uint64], at: NDArray[np.int64]) -> tuple[NDArray[np.int64], int, int]:
    """Places whose n-gram repeats; the first place of the most frequent one, and its count.

    grams: the n-gram at each place of `at`.
    """
    order = np.argsort(grams)
    ranked = grams[order]
    same = ranked[1:] == ranked[:-1]
    if not same.any():
        return at[:0], 0, 1
    several = np.zeros(len(at), bool)
    several[1:] = same
    several[:-1] |= same
    ends = np.flatnonzero(~same)  # of runs of equal n-grams, all but the last
    bounds = np.concatenate([[-1], ends, [len(at) - 1]])
    counts = bounds[1:] - bounds[:-1]
    often = int(counts.max())
    runs = np.flatnonzero(counts == often)
    tops = [int(order[bounds[run] + 1 : bounds[run + 1] + 1].min()) for run in runs[:TIES].tolist()]
    if len(runs) > TIES:
        places = np.repeat(counts == often, counts)
        tops = [int(order[places].min())]
    return at[np.sort(order[several])], int(at[min(tops)]), often


def _covered(grams: NDArray[np.uint64], at: NDArray[np.int64], ends: NDArray[np.int64], n: int) -> int:
    """Characters in n-grams that occurred before, each counted once: after a match the next n words are skipped."""
    known: set[int] = set()
    characters = free = 0
    for place, gram in zip(at.tolist(), grams[at].tolist(), strict=True):
        if place < free:
            continue
        if gram in known:
            characters += int(ends[place + n] - ends[place])
            free = place + n
        else:
            known.add(gram)
    return characters


class _StopWords:
    """Finds stop words among the words of a text, or as their endings."""

    def __init__(self, stop_words: tuple[str, ...], *, ending: bool) -> None:
        self._words, self._ending = frozenset(stop_words), ending
        behind = f"[{re.escape(TRAILING)}]+ "
        self._endings = [
            (f"{word} ", re.compile(re.escape(word) + behind))
            for word in sorted(self._words)
            if word
            and word[-1]
            not in TRAILING  # a character that ends no word, since punctuation behind a word is ignored
        ]

    def different(self, words: Words) -> int:
        """Number of distinct stop words in a text."""
        if not self._ending:
            return len(self._words.intersection(words.words))
        text = " ".join(words.words) + " "
        return sum(plain in text or behind.search(text) is not None for plain, behind in self._endings)


class Quality:
    """Drops documents by their length and by the form of their words and lines."""

    name = "gopher_quality"

    def __init__(self, config: GopherQuality) -> None:
        self._config = config
        self._stop_words = _StopWords(config.stop_words, ending=config.stop_word_match == "ending")

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """Drop the document or return it unchanged."""
        return seen.first_failure(self._figures(document.text)) or document

    def _figures(self, text: str) -> Iterator[Figure]:
        config, words = self._config, words_of(text)
        real = (words.facts & WORD) > 0
        count = int(real.sum())
        if config.min_words is not None:
            yield Figure(f"{self.name}.min_words", count, config.min_words, None)
        if config.max_words is not None:
            yield Figure(f"{self.name}.max_words", count, None, config.max_words)
        mean = float(words.lengths[real].sum()) / count if count else 0.0
        if config.min_word_length is not None:
            yield Figure(f"{self.name}.min_word_length", mean, config.min_word_length, None)
        if config.max_word_length is not None:
            yield Figure(f"{self.name}.max_word_length", mean, None, config.max_word_length)
        total = max(len(words), 1)
        if config.max_hash_ratio is not None:
            yield Figure(f"{self.name}.max_hash_ratio", text.count("#") / total, None, config.max_hash_ratio)
        ellipses = text.count("...") + text.count("…")
        if config.max_ellipsis_ratio is not None:
            yield Figure(f"{self.name}.max_ellipsis_ratio", ellipses / total, None, config.max_ellipsis_ratio)
        lines = text.splitlines() or [""]
        if config.max_bullet_lines is not None:
            any_bullet = "•" in text or "-" in text
            bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines if any_bullet) / len(lines)
            yield Figure(f"{self.name}.max_bullet_lines", bullets, None, config.max_bullet_lines)
        if config.max_ellipsis_lines is not None:
            cut = sum(line.rstrip().endswith(ELLIPSES) for line in lines if ellipses) / len(lines)
            yield Figure(f"{self.name}.max_ellipsis_lines", cut, None, config.max_ellipsis_lines)
        if config.min_alpha_words is not None:
            letters = int(((words.facts & LETTER) > 0).sum()) / total
            yield Figure(f"{self.name}.min_alpha_words", letters, config.min_alpha_words, None)
        if config.min_stop_words is not None:
            different = self._stop_words.different(words)
            yield Figure(f"{self.name}.min_stop_words", different, config.min_stop_words, None)
