"""Korean particles: what may follow a noun within its eojeol (case and topic particles, the plural, the copula)."""

import re

PARTICLES = (
    "은", "는", "이", "가", "을", "를", "의", "에", "에서", "에게",
    "에는", "에도", "에서는", "에서도", "으로", "로", "으로는", "로는", "으로서", "로서",
    "으로써", "로써", "와", "과", "도", "만", "까지", "부터", "처럼", "보다",
    "마다", "조차", "이나", "나", "이라", "라", "이라는", "라는", "이라고", "라고",
    "이며", "며", "이고", "이다", "이란", "란", "들", "들이", "들은", "들을",
    "들의", "께서", "한테", "만의", "만이",
)  # fmt: skip
_ANY = "|".join(sorted(PARTICLES, key=len, reverse=True))
PARTICLE = re.compile(f"(?:{_ANY})(?![\uac00-\ud7af])")
"""A particle at the end of an eojeol."""
_TRAILING = re.compile(f"(?:{_ANY})$")
SHORTEST = 2  # characters of a stem; 인도 and 이란 end like particles


def stem(word: str) -> str:
    """A word without what is, or looks like, a particle at its end: 서울에서는 and 서울 become one.

    Names that end like a particle lose it wherever they occur: 아르헨티나의 and 아르헨티나 still agree.
    """
    while (found := _TRAILING.search(word)) is not None and found.start() >= SHORTEST:
        word = word[: found.start()]
    return word
