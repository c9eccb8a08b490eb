"""Removes lines that are no prose (RefinedWeb: Penedo et al. 2023, appendix G.2).

The paper describes its rules in words, and its code is not published; the counters are those of DCLM's
implementation (Li et al. 2024), and those of Korean sites.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from nlptool.corpus.config import Lines
from nlptool.corpus.document import Document, Dropped, Figure, Figures

COUNTED = (
    "likes? shares? comments? retweets? reposts? quotes? bookmarks? upvotes? downvotes? downloads? views? followers? "
    "replies answers? votes?"
)
COUNTED_KO = "조회수? 추천수? 좋아요 댓글수? 공유 구독자 팔로워 팔로잉 비추천 다운로드"
NUMBER = r"\d[\d.,]*\s*[kKmM천만]?"
COUNTER = re.compile(
    rf"\W*(?:{NUMBER}\s*(?:{'|'.join(COUNTED.split())})|"
    rf"(?:{'|'.join(COUNTED_KO.split())})\s*[:：]?\s*{NUMBER}\s*[명개건회]?)\W*",  # noqa: RUF001
    re.IGNORECASE,
)
BLANK = re.compile(r"\n{3,}")


class Removed(NamedTuple):
    """A text without the removed lines."""

    text: str
    share: float
    """Share of its words that the removed lines had."""


def without(text: str, gone: list[bool]) -> Removed:
    """A text without the lines where `gone` is true; of the blank lines around a removed line, one is removed."""
    lines = text.split("\n")
    words = sum(len(line.split()) for line, one in zip(lines, gone, strict=True) if one)
    left = "\n".join([line for line, one in zip(lines, gone, strict=True) if not one])
    return Removed(BLANK.sub("\n\n", left).strip("\n"), words / max(len(text.split()), 1))


def figures(name: str, found: Removed, max_removed: float | None, min_chars: int) -> Iterator[Figure]:
    """Figures that decide whether to keep a document from which lines were removed."""
    yield Figure(f"{name}.max_removed", found.share, None, max_removed)
    yield Figure(f"{name}.min_chars", len(found.text.strip()), min_chars, None)


class Block:
    """Removes lines; drops a document that loses too much or keeps too little."""

    name = "lines"

    def __init__(self, config: Lines) -> None:
        self._config = config

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document without these lines, or the reason why it is dropped."""
        text = document.text
        gone = [self._is_no_prose(line) for line in text.split("\n")]
        found = without(text, gone) if any(gone) else Removed(text, 0.0)
        dropped = seen.first_failure(
            figures(self.name, found, self._config.max_removed, self._config.min_chars)
        )
        return dropped or (document._replace(text=found.text) if any(gone) else document)

    def _is_no_prose(self, line: str) -> bool:
        """Whether a line is removed; blank ones are not."""
        config = self._config
        words = len(line.split())
        if not words:
            return False
        if config.min_words is not None and words < config.min_words:
            return True
        if config.counters and COUNTER.fullmatch(line):
            return True
        if config.numbers and not any(map(str.isalpha, line)):
            return True
        return config.max_uppercase is not None and uppercase(line) > config.max_uppercase


def uppercase(line: str) -> float:
    """Share of capitals among the letters of a line."""
    capitals = sum(map(str.isupper, line))
    return capitals / max(sum(map(str.isalpha, line)), 1) if capitals else 0.0
