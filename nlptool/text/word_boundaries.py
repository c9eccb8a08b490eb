"""Word boundaries from tokens alone, for whole-word masking with any tokenizer.

Each token has a class at its first and at its last character; a token begins a word iff its first class differs from
the last class of the token before. The rule is the same for byte-level BPE, where a word is a run of letters, of
digits or of other signs, and white space separates; for WordPiece, where `##` continues; and for Korean, where a
word in this sense is an eojeol without its punctuation. In scripts without spaces between words, such as Chinese,
Japanese and Thai, every token is a word, since a run of letters is a clause.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LETTER, DIGIT, OTHER, SPACE = 1, 2, 3, 0  # SPACE as a last class: nothing continues white space
UNSPACED = 4  # a letter of a script without spaces between words; only combining marks continue it
UNSPACED_RANGES = (
    (0x0E00, 0x109F),  # Thai, Lao, Tibetan, Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # iteration and closing marks of Chinese and Japanese
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31FF),
    (0x3400, 0x9FFF),  # Chinese characters
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
ALWAYS, NEVER = -1, -2  # a first class that equals no last class, and a last class that equals no first class

Classes = NDArray[np.int8]


def byte_table() -> dict[str, int]:
    """GPT-2's printable symbol for each byte, e.g. `Ġ` for the space (Radford et al. 2019, encoder.py)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(rest)}


def boundaries(
    model: Mapping[str, Any], byte_level: bool, tokens: Mapping[int, str], size: int, special: Iterable[int]
) -> tuple[Classes, Classes]:
    """First and last classes of the tokens of a tokenizer.json's `model`, int8 [size].

    If tokens show no word boundaries, every token begins a word.
    """
    special = set(special)
    if not knows_word_boundaries(model, byte_level, tokens, special) or model["type"] == "WordLevel":
        return np.full(size, ALWAYS, np.int8), np.full(size, NEVER, np.int8)
    if prefix := model.get("continuing_subword_prefix"):
        return of_pieces(tokens, size, special, prefix)
    if suffix := model.get("end_of_word_suffix"):
        return of_ends(tokens, size, special, suffix)
    if byte_level:
        return of_bytes(tokens, size, special)
    return of_texts({token: _spaced(text) for token, text in tokens.items()}, size, special)


def knows_word_boundaries(
    model: Mapping[str, Any], byte_level: bool, tokens: Mapping[int, str], special: Iterable[int]
) -> bool:
    """Whether tokens show word boundaries: by a prefix, a suffix or a space, or because each token is a word.

    Those of a BPE or Unigram model trained on pretokenized words without spaces do not.
    """
    if byte_level or model["type"] in ("WordPiece", "WordLevel"):
        return True
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return True
    special = set(special)
    return any(" " in _spaced(text) for token, text in tokens.items() if token not in special)


def _spaced(text: str) -> str:
    """Replace SentencePiece's symbol by a space."""
    return text.replace("▁", " ")


def of_bytes(tokens: Mapping[int, str], size: int, special: Iterable[int]) -> tuple[Classes, Classes]:
    """Classes of byte-level tokens in the spelling of tokenizer.json; parts of a character count as letters."""
    table = byte_table()
    texts = {
        token: bytes(table[c] for c in text).decode("utf8", "replace")
        for token, text in tokens.items()
        if all(c in table for c in text)
    }
    return of_texts(texts, size, special)


def of_texts(texts: Mapping[int, str], size: int, special: Iterable[int]) -> tuple[Classes, Classes]:
    """Classes of tokens with these texts, white space before them included."""
    first, last = np.full(size, ALWAYS, np.int8), np.full(size, NEVER, np.int8)
    for token, text in texts.items():
        if text:
            first[token] = _first_class(text[0])
            last[token] = LETTER if text == " " else _class(text[-1])  # a space split from its rare word
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


def of_ends(
    tokens: Mapping[int, str], size: int, special: Iterable[int], suffix: str
) -> tuple[Classes, Classes]:
    """Classes of tokens where a suffix ends a word, as `</w>` in the BPE of Sennrich et al. 2016."""
    first, last = np.full(size, LETTER, np.int8), np.full(size, LETTER, np.int8)
    last[[token for token, text in tokens.items() if text.endswith(suffix)]] = NEVER
    return _apart(first, last, special)


def _apart(first: Classes, last: Classes, special: Iterable[int]) -> tuple[Classes, Classes]:
    chosen = list(special)
    first[chosen], last[chosen] = ALWAYS, NEVER
    return first, last


def _first_class(character: str) -> int:
    kind = _class(character)
    if kind == UNSPACED and unicodedata.category(character)[0] != "M":
        return ALWAYS
    return kind or ALWAYS


def _class(character: str) -> int:
    """U+FFFD, which part of a character decodes to, is a letter; so are combining marks."""
    if character.isspace():
        return SPACE
    if character == "\ufffd":
        return LETTER
    if any(low <= ord(character) <= high for low, high in UNSPACED_RANGES):
        return UNSPACED if unicodedata.category(character)[0] in "LM" else OTHER
    return {"L": LETTER, "M": LETTER, "N": DIGIT}.get(unicodedata.category(character)[0], OTHER)
