import numpy as np
import pytest
from numpy.typing import NDArray

from nlptool.text import pretoken_cache as module
from nlptool.text.gpt2_pretokenizer import split
from nlptool.text.pretoken_cache import LONGEST, PretokenCache


class Merges:
    """A stand-in for BPE: one id for each byte, and a note of what was asked for."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, pieces: list[bytes]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        self.asked += pieces
        return np.array([*b"".join(pieces)], np.int32), np.array([len(piece) for piece in pieces])


def check(table: PretokenCache, text: str) -> None:
    pieces = split([text])
    ids, counts = table(pieces)
    assert ids.tolist() == [*text.encode()]
    assert counts.tolist() == pieces.sizes.tolist()


def test_a_piece_is_encoded_once():
    merges = Merges()
    table = PretokenCache(merges)
    check(table, "one two one")
    check(table, " two three two")
    assert merges.asked == [b"one", b" two", b" one", b" three"]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 24, 30, LONGEST, LONGEST + 1, 100])
def test_pieces_of_all_sizes_are_told_apart(size: int):
    table = PretokenCache(Merges())
    for text in ("a" * size, "a" * size + "b", "b" + "a" * (size - 1), "a" * (size - 1) + "b"):
        check(table, text)
        check(table, text)


def test_long_pieces_are_encoded_anew_in_each_batch():
    merges = Merges()
    table = PretokenCache(merges)
    word = "x" * (LONGEST + 1)
    for _ in range(2):
        check(table, f"{word} {word}")
    assert merges.asked == 2 * [word.encode(), b" " + word.encode()]


def test_a_full_table_forgets_and_stays_right(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BITS", 2)  # four places for ten words
    table = PretokenCache(Merges())
    for _ in range(3):
        check(table, "zero one two three four five six seven eight nine zero one two three")


def test_memory_stays_in_bounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FULL", 1000)
    table = PretokenCache(Merges())
    for number in range(600):
        check(table, " ".join(f"word{number}x{other}" for other in range(20)))
    assert len(table._ids) <= 1 << 16
    check(table, "word1x1")
