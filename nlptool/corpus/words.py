"""Words of a text and their properties, computed once for all filters.

Words are separated by white space, as in the papers; in Korean they are eojeol. Most words consist of letters alone;
the properties of the others (has a letter, is punctuation alone) are cached by word.
"""

import string
from functools import cached_property, lru_cache
from itertools import compress

import numpy as np
from numpy.typing import NDArray

MOST_KEPT = (
    1 << 17
)  # words whose properties are cached; the cache is emptied when it is full, to bound memory
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplication modulo 2^64 is invertible
LETTER, WORD = 1, 2  # bits: has a letter; is not punctuation alone
OPPOSITE = bytes([1]) + bytes(255)

SENTENCE_TERMINALS = (
    "589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 "
    "17d4-17d6 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f "
    "203c-203d 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f "
    "a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 10f55-10f59 "
    "10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 111cd 111de-111df 11238-11239 "
    "1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 1173c-1173e 11944 11946 "
    "11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 "
    "16e98 1bc9f 1da88 "
)
"""Unicode's property Sentence_Terminal without . ! ?, in ranges of code points."""


def _characters(ranges: str) -> frozenset[str]:
    bounds = [[int(end, 16) for end in one.split("-")] for one in ranges.split()]
    return frozenset(chr(code) for bound in bounds for code in range(bound[0], bound[-1] + 1))


SENTENCE_END = frozenset(".!?") | _characters(SENTENCE_TERMINALS)
PUNCTUATION = (
    frozenset(string.punctuation)
    | SENTENCE_END
    | _characters("0-1f 7f-9f ab b4 bb 2013-2014 2019 201c-201e 2026 2236 2501 25ba 3001 3008-300d 3010-3011")
    | _characters("ff05 ff08-ff09 ff0c ff11 ff1a-ff1b ff5e")
)
"""Characters that make no word by themselves, as in datatrove."""


class _Facts(dict[str, int]):
    """LETTER and WORD of words that are not letters alone, which are rare."""

    def __missing__(self, word: str) -> int:
        if len(self) >= MOST_KEPT:
            self.clear()
        letter = LETTER if any(map(str.isalpha, word)) else 0
        found = self[word] = letter | (0 if PUNCTUATION.issuperset(word) else WORD)
        return found


_facts = _Facts()


class Words:
    """The words of one text. All properties are computed by loops in C."""

    def __init__(self, text: str) -> None:
        self.words = text.split()

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Number of characters of each word."""
        return np.fromiter(map(len, self.words), np.int64, len(self.words))

    @cached_property
    def facts(self) -> NDArray[np.uint8]:
        """LETTER and WORD of each word."""
        letters = bytes(map(str.isalpha, self.words))
        found = np.frombuffer(letters, np.uint8) * np.uint8(LETTER | WORD)
        others = map(_facts.__getitem__, compress(self.words, letters.translate(OPPOSITE)))
        found[found == 0] = np.fromiter(others, np.uint8)
        return found

    def hashes(self) -> NDArray[np.uint64]:
        """A 64-bit hash of each word; they are comparable within this process only."""
        found = np.fromiter(map(hash, self.words), np.int64, len(self.words)).view(np.uint64) * FACTOR
        return found ^ (found >> np.uint64(29))


@lru_cache(maxsize=1)
def words_of(text: str) -> Words:
    """The words of a text; those of the last text are cached, so that consecutive filters split it once."""
    return Words(text)
