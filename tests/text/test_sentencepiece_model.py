"""SentencePiece models, built here byte by byte; known ids are those of the library sentencepiece on them."""

import struct
import unicodedata
from pathlib import Path

import pytest

from nlptool.errors import DataError
from nlptool.text.tokenizer import Tokenizer

UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6
SPECIAL = [("<pad>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN), ("[CLS]", 0.0, USER_DEFINED), ("[SEP]", 0.0, USER_DEFINED),
           ("[MASK]", 0.0, USER_DEFINED)]  # fmt: skip
UNIGRAM = [*SPECIAL, ("▁국민", -3.0, 1), ("▁", -4.0, 1), ("국", -5.0, 1), ("민", -5.0, 1), ("여러분", -4.0, 1),
           ("▁여러분", -3.5, 1)]  # fmt: skip


def field(number: int, value: bytes | int | float) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def model(pieces: list[tuple[str, float, int]], kind: int = 1, **normalizer: int | bytes) -> bytes:
    keys = {"name": 1, "add_dummy_prefix": 3, "remove_extra_whitespaces": 4}
    entries = b"".join(
        field(1, field(1, text.encode()) + field(2, score) + field(3, type_)) for text, score, type_ in pieces
    )
    spec = b"".join(field(keys[name], value) for name, value in normalizer.items())
    return entries + field(2, field(3, kind)) + field(3, spec)


def loaded(folder: Path, data: bytes) -> Tokenizer:
    (folder / "spiece.model").write_bytes(data)
    return Tokenizer.load(folder / "spiece.model")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("국민 여러분", [5, 10]),
        ("  국민   여러분 ", [5, 10]),
        ("민국", [6, 8, 7]),
        ("국민[MASK]여러분", [5, 4, 9]),
        ("국민 x", [5, 6, 1]),
    ],
)
def test_the_ids_of_a_unigram_model_are_those_of_sentencepiece(text: str, ids: list[int], tmp_path: Path):
    tokenizer = loaded(tmp_path, model(UNIGRAM))
    assert tokenizer.encode(text) == ids
    assert tokenizer.special["mask"] == 4


def test_a_model_without_a_space_in_front_of_a_text_adds_none(tmp_path: Path):
    tokenizer = loaded(tmp_path, model(UNIGRAM, add_dummy_prefix=0))
    assert tokenizer.encode("여러분") == tokenizer.encode("  여러분 ") == [9]


def test_decomposed_hangul_is_composed_where_the_model_was_trained_on_nfkc(tmp_path: Path):
    decomposed = unicodedata.normalize("NFD", "국민 여러분")
    assert loaded(tmp_path, model(UNIGRAM, name=b"nmt_nfkc")).encode(decomposed) == [5, 10]
    assert 1 in loaded(tmp_path, model(UNIGRAM, name=b"identity")).encode(decomposed)


def test_pieces_of_a_bpe_model_are_merged_by_their_scores(tmp_path: Path):
    pieces = [("<unk>", 0.0, UNKNOWN), ("ab", -0.0, 1), ("bc", -1.0, 1), ("▁a", -2.0, 1),
              *((letter, -9.0 - at, 1) for at, letter in enumerate("▁abc"))]  # fmt: skip
    tokenizer = loaded(tmp_path, model(pieces, kind=2))
    assert tokenizer.encode("abc") == [4, 1, 7]
    assert tokenizer.encode("bca") == [4, 2, 5]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no SentencePiece model"),
        (b"hello", "no SentencePiece model"),
        (model(UNIGRAM)[:-9], "breaks off"),
        (model(UNIGRAM, kind=3), "of words or characters"),
        (model(UNIGRAM[5:]), "no SentencePiece model"),
        (field(1, 1), "no SentencePiece model"),
        (field(1, field(1, 1)), "no SentencePiece model"),
        (field(1, 1.0)[:3], "breaks off"),
        (model(UNIGRAM, name=1), "no SentencePiece model"),
    ],
)
def test_what_is_no_model_is_told_in_one_line(data: bytes, told: str, tmp_path: Path):
    with pytest.raises(DataError, match=rf"spiece\.model: cannot be read as a tokenizer: .*{told}"):
        loaded(tmp_path, data)
