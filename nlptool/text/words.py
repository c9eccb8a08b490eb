"""Where words begin, told from the tokens alone, for whole-word masking with any tokenizer.

Each token has a class at its first and at its last character; a token begins a word iff its first class
differs from the last class of the token before. The rule is the same for byte-level BPE, where a word is
a run of letters, of digits or of other signs and white space parts; for WordPiece, where `##` continues; and
for Korean, where a word in this sense is an eojeol without its punctuation.
"""

import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

LETTER, DIGIT, OTHER, SPACE = 1, 2, 3, 0  # SPACE as a last class: nothing continues white space
ALWAYS, NEVER = -1, -2  # a first class that equals no last class, and a last class that equals no first class

Classes = NDArray[np.int8]


def byte_table() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte, e.g. `Ġ` for the space (Radford et al. 2019, encoder.py)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(rest)}


def of_bytes(tokens: Mapping[int, str], size: int, special: Iterable[int]) -> tuple[Classes, Classes]:
    """Classes of byte-level tokens as tokenizer.json has them; pieces of a character count as letters."""
    table = byte_table()
    texts = {
        token: bytes(table[c] for c in text).decode("utf8", "replace")
        for token, text in tokens.items()
        if all(c in table for c in text)
    }
    return of_texts(texts, size, special)


def of_texts(texts: Mapping[int, str], size: int, special: Iterable[int]) -> tuple[Classes, Classes]:
    """Classes of tokens that stand for these texts, white space in front included."""
    first, last = np.full(size, ALWAYS, np.int8), np.full(size, NEVER, np.int8)
    for token, text in texts.items():
        if text:
            first[token] = _class(text[0]) or ALWAYS
            last[token] = LETTER if text == " " else _class(text[-1])  # a space apart from its rare word
    return _apart(first, last, special)


def of_pieces(
    tokens: Mapping[int, str], size: int, special: Iterable[int], prefix: str
) -> tuple[Classes, Classes]:
    """Classes of WordPiece tokens: those with `prefix` continue a word, all others begin one."""
    first, last = np.full(size, ALWAYS, np.int8), np.full(size, LETTER, np.int8)
    for token, text in tokens.items():
        if text.startswith(prefix) and len(text) > len(prefix):
            first[token] = LETTER
    return _apart(first, last, special)


def _apart(first: Classes, last: Classes, special: Iterable[int]) -> tuple[Classes, Classes]:
    chosen = list(special)
    first[chosen], last[chosen] = ALWAYS, NEVER
    return first, last


def _class(character: str) -> int:
    """U+FFFD, what a part of a character decodes to, is a letter; so are combining marks."""
    if character.isspace():
        return SPACE
    if character == "\ufffd":
        return LETTER
    return {"L": LETTER, "M": LETTER, "N": DIGIT}.get(unicodedata.category(character)[0], OTHER)
