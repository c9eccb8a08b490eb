"""Streamed text: whole characters, nothing from a stop string on, and each piece as early as possible."""

import random

import pytest

from nlptool.evaluation.generation.streaming import DetokenizeStream
from nlptool.text.tokenizer import Tokenizer

TEXT = "The old bell, 오래된 종이 울린다 — naïve 🎈 end."


@pytest.fixture(scope="module")
def letters() -> Tokenizer:
    """A tokenizer without merges of Korean: each byte of it is a token."""
    return Tokenizer.train(["the old bell of the old town"] * 5, 300)


def pieces(tokenizer: Tokenizer, ids: list[int], stop: tuple[str, ...] = ()) -> list[str]:
    stream = DetokenizeStream(tokenizer, stop)
    made = [stream.add(token) for token in ids]
    assert "".join(made) == stream.text
    return [*made, stream.rest()]


def test_a_character_comes_with_its_last_byte_and_not_before(letters: Tokenizer):
    ids = letters.encode("종이")
    assert len(ids) == 6
    assert pieces(letters, ids) == ["", "", "종", "", "", "이", ""]


def test_the_pieces_are_the_text_and_none_is_broken(letters: Tokenizer):
    made = pieces(letters, letters.encode(TEXT))
    assert "".join(made) == TEXT
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in made)
    assert made[0] == "T"


def test_any_bytes_come_out_as_they_are_decoded_at_once(letters: Tokenizer):
    random.seed(0)
    for _ in range(200):
        ids = [random.randrange(6, letters.vocab_size) for _ in range(12)]
        assert "".join(pieces(letters, ids)) == letters.decode(ids)


def test_what_is_left_of_a_broken_character_is_given_at_the_end(letters: Tokenizer):
    ids = letters.encode("a종")[:-1]
    assert pieces(letters, ids) == ["a", "", "", "\N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_stop_string_is_found_across_tokens_and_nothing_of_it_is_given(letters: Tokenizer, cut: int):
    text = "the bell\nQ: more"
    at = text.index("\nQ") + cut - 4
    ids = [*letters.encode(text[:at]), *letters.encode(text[at:])]  # tokens begin and end elsewhere
    stream = DetokenizeStream(letters, ("zzz", "\nQ:"))
    assert "".join(stream.add(token) for token in ids) + stream.rest() == "the bell"
    assert stream.stopped


def test_the_first_of_several_stop_strings_counts_also_within_one_token(letters: Tokenizer):
    assert "".join(pieces(letters, letters.encode("the old bell"), ("bell", "old"))) == "the "
    assert len(letters.encode(" old")) == 1
    assert "".join(pieces(letters, letters.encode("the old"), ("ld",))) == "the o"


def test_only_what_may_become_a_stop_string_is_held_back(letters: Tokenizer):
    ids = [letters.encode(c)[0] for c in "ab\n\nc\n"]
    assert pieces(letters, ids, ("\n\n\n",)) == ["a", "b", "", "", "\n\nc", "", "\n"]


def test_an_empty_stop_string_is_refused(letters: Tokenizer):
    with pytest.raises(ValueError, match="no character"):
        DetokenizeStream(letters, ("",))


def test_where_tokens_are_pieces_of_words_the_space_before_the_first_one_is_kept():
    words = {word: at for at, word in enumerate(["[UNK]", "the", "old", "bell", "##s"])}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab": words}
    content = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "model": {**model, "max_input_chars_per_word": 100},
    }
    tokenizer = Tokenizer(content, {})
    for after, expected in (([2, 3], " old bell"), ([4, 2], "s old")):
        stream = DetokenizeStream(tokenizer, before=[3])
        made = [stream.add(token) for token in after]
        assert "".join(made) + stream.rest() == expected
        assert made[0] == tokenizer.decode([3, after[0]])[len("bell") :]
