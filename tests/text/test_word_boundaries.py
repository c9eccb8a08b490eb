"""Word boundaries, by tokenizers that mark them in several ways, and by some that do not."""

from itertools import pairwise
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Encoder
from tokenizers import models, pre_tokenizers

from nlptool.data.vocabulary import Vocabulary
from nlptool.text.tokenizer import Tokenizer
from nlptool.text.word_boundaries import boundaries, knows_word_boundaries

SPECIAL = {0: "[UNK]"}


def words(model: dict[str, object], tokens: list[str], text: list[str]) -> list[str]:
    """The tokens of a text, joined to words."""
    ids = {token: number for number, token in enumerate(["[UNK]", *tokens])}
    first, last = boundaries(model, False, {n: token for token, n in ids.items()}, len(ids), [0])
    found = text[0]
    for one, other in pairwise(text):
        found += " " * int(first[ids[other]] != last[ids[one]]) + other
    return found.split(" ")


def test_an_ending_tells_the_end_of_a_word():
    model = {"type": "BPE", "end_of_word_suffix": "</w>"}
    tokens = ["low", "er</w>", "the</w>", ".</w>"]
    assert words(model, tokens, ["the</w>", "low", "er</w>", ".</w>"]) == ["the</w>", "lower</w>", ".</w>"]


def test_a_prefix_tells_what_continues_a_word_also_in_bpe():
    model = {"type": "BPE", "continuing_subword_prefix": "##"}
    assert words(model, ["low", "##er", "the"], ["the", "low", "##er"]) == ["the", "low##er"]


def test_each_token_of_a_list_of_words_is_a_word():
    model = {"type": "WordLevel"}
    assert words(model, ["the", "low", "road"], ["the", "low", "road"]) == ["the", "low", "road"]
    assert knows_word_boundaries(model, False, {1: "the"}, [])


def test_tokens_of_bpe_without_spaces_tell_no_words_and_are_words_each():
    model = {"type": "BPE"}
    assert words(model, ["lo", "w", "the"], ["the", "lo", "w"]) == ["the", "lo", "w"]
    assert not knows_word_boundaries(model, False, {0: "[MASK] [UNK]", 1: "lo", 2: "w"}, [0])
    assert knows_word_boundaries({"type": "Unigram"}, False, {1: "▁lo", 2: "w"}, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("日本語を学ぶ", "日 本 語 を 学 ぶ"),
        ("中文字", "中 文 字"),
        ("カタカナー", "カ タ カ ナ ー"),
        ("ก็ดี", "ก็ ดี"),  # Thai: vowel signs and tones stand upon their letter
        ("한국어", "한국어"),  # Korean has spaces
        ("été", "été"),
        ("漢x字", "漢 x 字"),
    ],
)
def test_a_letter_of_a_script_without_spaces_is_a_word_if_it_is_a_token(text: str, expected: str):
    tokens = [*dict.fromkeys(text), "▁"]
    assert words({"type": "Unigram"}, tokens, list(text)) == expected.split()


def test_a_byte_level_tokenizer_has_tokens_of_japanese_and_words_of_korean():
    tokenizer = Tokenizer.train(["日本 語 本 語 日本", "한국어 책을"] * 20, 300)
    first, last = tokenizer.word_boundaries()
    japanese, korean = tokenizer.encode("日本語本"), tokenizer.encode("한국어책을")
    assert [tokenizer.decode([token]) for token in japanese] == ["日本", "語", "本"]
    assert all(first[b] != last[a] for a, b in pairwise(japanese))
    assert not any(first[b] != last[a] for a, b in pairwise(korean))
    assert tokenizer.knows_word_boundaries


def test_what_the_quick_tour_of_tokenizers_trains_tells_no_words(tmp_path: Path):
    encoder = Encoder(models.BPE({"[UNK]": 0, "[PAD]": 1, "a": 2, "b": 3}, [], unk_token="[UNK]"))
    encoder.pre_tokenizer = pre_tokenizers.Whitespace()
    encoder.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path)
    assert not tokenizer.knows_word_boundaries
    assert not Vocabulary.of(tokenizer).knows_word_boundaries
