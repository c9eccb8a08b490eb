"""Coverage of a text by a tokenizer: characters that become [UNK], and characters that become no token at all."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool.formatting import percent
from nlptool.text import word_boundaries
from nlptool.text.sentences import WHITE

SHOWN = 5  # characters in a message
POINTS = np.array([ord(character) for character in WHITE])


@dataclass
class Loss:
    """Losses in some texts, counted while they are encoded; nothing is counted for a tokenizer that loses nothing."""

    tokens: int = 0
    unknown: int = 0
    """Tokens that are [UNK]."""
    bytes: int = 0
    """Size of the texts in UTF-8."""
    lost: int = 0
    """Bytes of visible characters without a token other than [UNK]."""
    characters: Counter[str] = field(default_factory=Counter)
    """Counts of the lost characters."""

    def __iadd__(self, other: "Loss") -> "Loss":
        self.tokens, self.unknown = self.tokens + other.tokens, self.unknown + other.unknown
        self.bytes, self.lost = self.bytes + other.bytes, self.lost + other.lost
        self.characters += other.characters
        return self

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that are [UNK]."""
        return self.unknown / self.tokens if self.tokens else 0.0

    @property
    def lost_share(self) -> float:
        """Share of the bytes that are lost."""
        return self.lost / self.bytes if self.bytes else 0.0

    def __str__(self) -> str:
        most = sorted(self.characters, key=lambda character: (-self.characters[character], character))
        shown = " ".join(most[:SHOWN])
        shares = (
            f"{percent(self.unknown_share, 2)} of the tokens are unknown, "
            f"{percent(self.lost_share, 2)} of the bytes are lost"
        )
        return f"{shares} (most often {shown})" if shown else shares


class Coverage:
    """Whether a tokenizer can lose anything, and how much of a text it loses."""

    def __init__(
        self,
        content: Mapping[str, Any],
        tokens: Mapping[int, str],
        normalise: Callable[[str], str],
        *,
        bytewise: bool,
    ) -> None:
        """content: tokenizer.json. tokens: by id. normalise: its normaliser. bytewise: whether tokens spell bytes."""
        model = content["model"]
        self._names, self._normalise, self._bytewise = set(tokens.values()), normalise, bytewise
        fallback = model.get("byte_fallback") and self._names >= {f"<0x{byte:02X}>" for byte in range(256)}
        spelled = bytewise and self._names >= set(word_boundaries.byte_table())
        self.complete: bool = model["type"] == "BPE" and bool(spelled or fallback)
        """Whether every text has its tokens, so that none is unknown and nothing lost."""
        name = model.get("unk_token")
        known = next((number for number, token in tokens.items() if token == name), None)
        self._unknown: int | None = model["unk_id"] if model["type"] == "Unigram" else known
        self._sizes: dict[int, int] = {}  # bytes lost of a character that becomes no token

    def of(self, text: str, ids: Sequence[int], places: NDArray[np.integer[Any]]) -> Loss:
        """Losses in a text. places: [ids, 2], the characters of each id."""
        raw = len(text.encode())
        if self.complete or not raw:
            return Loss(len(ids), 0, raw, 0)
        unknown, lost = self.of_parts(text, ids, places)
        points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        found, often = np.unique(points[lost > 0], return_counts=True)
        characters = Counter(dict(zip(map(chr, found), often.tolist(), strict=True)))
        return Loss(len(ids), int(unknown.sum()), raw, int(lost.sum()), characters)

    def of_parts(
        self, text: str, ids: Sequence[int], places: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which tokens of a text are [UNK], bool [ids], and how many bytes of each character are lost, int64."""
        points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        if self.complete:
            return np.zeros(len(ids), bool), np.zeros(len(points), np.int64)
        if self._unknown is None:  # characters are dropped, and places refer to the text without them
            return np.zeros(len(ids), bool), self._dropped(points)
        unknown = np.asarray(ids, np.int64) == self._unknown
        known = places[~unknown]
        ends = len(points) + 1
        depth = np.bincount(known[:, 0], minlength=ends) - np.bincount(known[:, 1], minlength=ends)
        missing = (np.cumsum(depth)[:-1] == 0) & ~np.isin(points, POINTS)
        size = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
        return unknown, size * missing

    def _dropped(self, points: NDArray[np.uint32]) -> NDArray[np.int64]:
        found, which = np.unique(points, return_inverse=True)
        for point in found.tolist():
            if point not in self._sizes:
                self._sizes[point] = self._lost_bytes(chr(point))
        return np.array([self._sizes[point] for point in found.tolist()], np.int64)[which]

    def _lost_bytes(self, character: str) -> int:
        """Bytes of a character without a token: those that lack one, or all."""
        if character in WHITE:
            return 0
        if self._bytewise:
            symbols = {byte: symbol for symbol, byte in word_boundaries.byte_table().items()}
            return sum(symbols[byte] not in self._names for byte in self._normalise(character).encode())
        spelled = all(one in self._names for one in self._normalise(character))
        return 0 if spelled else len(character.encode())
