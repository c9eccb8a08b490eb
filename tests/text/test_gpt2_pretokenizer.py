import unicodedata
from itertools import pairwise

import numpy as np
import pytest
import regex  # which tiktoken brings
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from nlptool.text import gpt2_pretokenizer as module
from nlptool.text.gpt2_pretokenizer import UnknownCharacterError, split
from nlptool.text.word_boundaries import byte_table

PARTS = [
    " ", "  ", "\n", "\t", "\u00a0", "\u3000", "\x85", "\x1c", "a", "Z", "é", "한글", "1", "½", "²", ".", "'", "'s",
    "'ll", "'re", "'ve", "'lx", "'d", "e\u0301", "😀", "-", "_",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS)).map("".join)


def pieces(*sentences: str) -> list[list[str]]:
    """The pieces of each sentence."""
    found = split(sentences)
    texts = [
        found.data[a : a + n].decode()
        for a, n in zip(found.starts.tolist(), found.sizes.tolist(), strict=True)
    ]
    edges = [*found.first.tolist(), len(texts)]
    return [texts[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two words", ["Two", " words"]),
        ("a1b22", ["a", "1", "b", "22"]),
        ("end. Next", ["end", ".", " Next"]),
        ("two  spaces", ["two", " ", " spaces"]),
        ("line\n\nline", ["line", "\n", "\n", "line"]),
        ("tab\tx", ["tab", "\t", "x"]),
        (" \n x", [" \n", " x"]),
        ("end  ", ["end", "  "]),
        ("don't", ["don", "'t"]),
        ("'tis it's", ["'t", "is", " it", "'s"]),
        ("x 's", ["x", " '", "s"]),
        ("x\n's", ["x", "\n", "'s"]),
        ("we''ll", ["we", "''", "ll"]),
        ("you'lls", ["you", "'ll", "s"]),
        ("I'VE", ["I", "'", "VE"]),
        ("'", ["'"]),
        ("a'", ["a", "'"]),
        ("한글 12개", ["한글", " 12", "개"]),
        ("x\u3000y", ["x", "\u3000", "y"]),
        ("", []),
    ],
)
def test_pieces_are_those_of_the_expression_by_hand(text: str, expected: list[str]):
    assert pieces(text) == [expected]


def test_every_sentence_is_split_by_itself():
    assert pieces("ab", "cd ", "", " x", "'", "s") == [["ab"], ["cd", " "], [], [" x"], ["'"], ["s"]]
    assert pieces("", "") == [[], []]
    assert pieces() == []


@given(
    st.lists(
        TEXTS | st.text(st.characters(max_codepoint=0x3FFFF, exclude_categories=["Cn", "Cs"]), max_size=30),
        max_size=4,
    )
)
@settings(max_examples=150, deadline=None)
def test_pieces_are_those_of_tokenizers(sentences: list[str]):
    table = byte_table()
    theirs = pre_tokenizers.ByteLevel(add_prefix_space=False)
    expected = [
        [bytes(table[c] for c in piece).decode() for piece, _ in theirs.pre_tokenize_str(sentence)]
        for sentence in sentences
    ]
    assert pieces(*sentences) == expected


# As it stands in openai/gpt-2, encoder.py, for the same module.
GPT2 = regex.compile(r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""")
KINDS = {
    "Hangul": ["한글", "다", "ㄱㄴㄷ", "\u1112\u1161\u11ab", "ㅋㅋㅋ", "韓國", "。", "·"],
    "emoji": ["😀", "👩‍👩‍👧", "🇰🇷", "👍🏽", "❤️", "1️⃣", "™"],
    "contractions": ["'s", "'S", "'ll", "'LL", "'re", "'ve", "'m", "'d", "'t", "'", "\u2019s", "''", "I", "we"],
    "white space": [" ", "  ", "   ", "\n", "\r\n", "\t", "\v", "\u00a0", "\u2003", "\u3000", "\x85", "\u200b", "\x1c"],
    "all": [*PARTS, "é", "ﬁ", "٣", "Ⅷ", "क्षि", "\x00", "\ufeff", "x"],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_pieces_are_those_of_gpt2s_own_expression(kind: str, data: st.DataObject):
    parts = KINDS[kind] + ["word", " ", "7", "."]
    text = data.draw(st.lists(st.sampled_from(parts), max_size=20).map("".join))
    assert pieces(text) == [GPT2.findall(text)]


def test_characters_without_a_meaning_are_left_to_the_tokenizer():
    with pytest.raises(UnknownCharacterError):
        split(["fine", "not \u0378 fine"])


def test_a_character_on_which_python_and_tokenizers_differ_is_left_to_the_tokenizer(
    monkeypatch: pytest.MonkeyPatch,
):
    """As if Python's Unicode data were newer, and had made a letter of U+0378 and a sign of U+2460."""
    changed = {"\u0378": "Lo", "\u2460": "So"}
    category = unicodedata.category
    monkeypatch.setattr(unicodedata, "category", lambda c: changed.get(c) or category(c))
    kinds = module._kinds.__wrapped__()
    assert kinds[0x378] == kinds[0x2460] == module.UNKNOWN
    assert kinds[ord("x")] == module.LETTER
    assert np.isin(
        kinds[:0x80], [module.SPACE, module.BLANK, module.LETTER, module.NUMBER, module.OTHER]
    ).all()
