"""The text of single tokens, for display."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from nlptool.text.tokenizer import Tokenizer
from nlptool.text.word_boundaries import byte_table

FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")
SPACE = "▁"  # SentencePiece's symbol for a space


class TokenSpan(NamedTuple):
    """Tokens [start, stop) of a sequence and their text; several if they form one character."""

    start: int
    stop: int
    text: str


class TokenTexts:
    """The text of each token of a tokenizer, white space before it included."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokens, self.special = tokenizer.tokens, frozenset(tokenizer.special.values())
        self.unknown = tokenizer.special.get("unk")
        model = tokenizer.content["model"]
        self._bytes = byte_table() if tokenizer.byte_level else {}
        self._prefix: str = model.get("continuing_subword_prefix") or ""
        self._suffix: str = model.get("end_of_word_suffix") or ""
        self._spaced = bool(self._prefix) or model["type"] in ("WordPiece", "WordLevel")

    def spans(self, ids: Sequence[int], apart: Collection[int] = ()) -> list[TokenSpan]:
        """The text of a sequence by tokens. apart: positions of tokens that are never joined with their neighbours.

        What is not a whole character, as a marked part of one, is written as \\x and two digits.
        """
        found: list[TokenSpan] = []
        start, held = 0, b""
        for place, token in enumerate(ids):
            own = self._bytes_of(token)
            alone = place in apart or token in self.special
            if held and (alone or start in apart):
                found.append(TokenSpan(start, place, held.decode("utf8", "backslashreplace")))
                held = b""
            if not held:
                start = place
            held += own
            if alone or place + 1 == len(ids) or _whole(held):
                found.append(TokenSpan(start, place + 1, held.decode("utf8", "backslashreplace")))
                held = b""
        return found

    def name(self, token: int) -> str:
        """A single token: its text without space, or WordPiece's spelling."""
        raw = self.tokens.get(token, f"[{token}]")
        if self._prefix and raw.startswith(self._prefix):
            return raw
        text = self._bytes_of(token).decode("utf8", "backslashreplace")
        return text.strip() or text

    def begins_with_space(self, token: int) -> bool:
        """Whether a token stands for white space and a word."""
        return self._bytes_of(token)[:1] == b" "

    def _bytes_of(self, token: int) -> bytes:
        raw = self.tokens.get(token)
        if raw is None:
            return f"[{token}]".encode()  # a row of the embeddings without a token
        if token in self.special:
            return raw.encode()
        if self._bytes:
            if all(sign in self._bytes for sign in raw):
                return bytes(self._bytes[sign] for sign in raw)
            return raw.encode()
        if found := FALLBACK.fullmatch(raw):
            return bytes([int(found[1], 16)])
        if self._prefix and raw.startswith(self._prefix):
            return raw.removeprefix(self._prefix).encode()
        if self._suffix and raw.endswith(self._suffix):
            return (raw.removesuffix(self._suffix) + " ").encode()
        return (" " * self._spaced + raw.replace(SPACE, " ")).encode()


def _whole(held: bytes) -> bool:
    """Whether bytes are whole characters, or cannot become any with more bytes."""
    try:
        held.decode("utf8")
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data"
    return True
