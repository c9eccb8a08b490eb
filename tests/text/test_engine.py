from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlptool.text import engine
from nlptool.text.config import Sentences
from nlptool.text.engine import MONSTER, Engine, EngineDiffers, choose, mergeable
from nlptool.text.sentences import segmenter
from nlptool.text.tokenizer import Tokenizer

ENGLISH = "The quick brown fox didn't jump. It's 1,234 dogs -- or cats?\n\n  Who knows! "
KOREAN = "국민 여러분, 안녕하십니까. 대한민국의 헌법을 지키겠습니다.그렇습니다. "
PIECES = [
    "word",
    " ",
    "\n",
    "\t",
    ". ",
    "한글",
    "다.",
    "😀",
    "\u00a0",
    "\x85",
    "\x1c",
    "'s",
    "12",
    "e\u0301",
    "[MASK]",
]
TEXTS = st.text(st.characters(codec="utf8"), max_size=40) | st.lists(st.sampled_from(PIECES)).map("".join)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([ENGLISH, KOREAN] * 20, 340)


@pytest.fixture(scope="module")
def fast(tokenizer: Tokenizer) -> Engine:
    return Engine(tokenizer, "tiktoken")


@pytest.fixture(scope="module")
def slow(tokenizer: Tokenizer) -> Engine:
    return Engine(tokenizer, "tokenizers")


def lists(encoding: engine.Encoding) -> list[list[int]]:
    return [array.tolist() for array in encoding]


@given(st.lists(TEXTS, max_size=5))
@settings(max_examples=300, deadline=None)
def test_both_engines_give_the_ids_of_the_whole_documents(
    fast: Engine, slow: Engine, tokenizer: Tokenizer, texts: list[str]
):
    documents = [segmenter(Sentences())(text) for text in texts]
    ids, lengths = lists(fast.encode(documents))
    assert [ids, lengths] == lists(slow.encode(documents))
    assert ids == [token for text in texts for token in tokenizer.encode(text)]
    assert len(lengths) == sum(map(len, documents))


def test_ids_and_lengths_of_two_documents_are_those_of_their_sentences(fast: Engine, tokenizer: Tokenizer):
    documents = [["A fox.", " Two dogs."], ["한글"]]
    expected = [tokenizer.encode(sentence) for document in documents for sentence in document]
    ids, lengths = fast.encode(documents)
    assert ids.tolist() == [token for sentence in expected for token in sentence]
    assert lengths.tolist() == [len(sentence) for sentence in expected]


def test_a_cut_within_a_word_is_kept_by_both_engines(fast: Engine, slow: Engine):
    for documents in ([["fo", "x"]], [["f" * MONSTER, "fo", "x"]], [["fo", "x"], ["fox"]]):
        assert lists(fast.encode(documents)) == lists(slow.encode(documents))
        assert len(fast.encode(documents)[1]) == sum(map(len, documents))


def test_no_document_gives_no_token(fast: Engine, slow: Engine):
    for documents in ([], [[]], [[""]]):
        assert lists(fast.encode(documents)) == lists(slow.encode(documents))
        assert len(fast.encode(documents)[0]) == 0


def test_a_difference_is_noticed_and_the_tokenizer_chosen(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
):
    assert choose(tokenizer, [ENGLISH, KOREAN]) == "tiktoken"
    monkeypatch.setattr(engine, "PATTERN", r"\S+|\s")  # words keep their commas
    with pytest.raises(EngineDiffers):
        Engine(tokenizer, "tiktoken").verify([[ENGLISH]])
    assert choose(tokenizer, [ENGLISH, KOREAN]) == "tokenizers"


def test_ids_in_another_order_than_merges_are_translated(tokenizer: Tokenizer):
    content = dict(tokenizer.content)
    model = dict(content["model"])
    size = tokenizer.vocab_size
    model["vocab"] = {
        token: token_id if token_id < 6 else size + 5 - token_id for token, token_id in model["vocab"].items()
    }
    turned = Tokenizer(content | {"model": model})
    assert turned.encode("fox") != tokenizer.encode("fox")
    assert choose(turned, [ENGLISH, KOREAN]) == "tiktoken"
    assert Engine(turned, "tiktoken").encode([["fox 한글"]])[0].tolist() == turned.encode("fox 한글")


@pytest.mark.parametrize(
    ("block", "changes"),
    [
        ("model", {"dropout": 0.1}),
        ("model", {"ignore_merges": True}),
        ("model", {"continuing_subword_prefix": "##"}),
        ("pre_tokenizer", {"add_prefix_space": True}),
        ("pre_tokenizer", {"use_regex": False}),
        ("pre_tokenizer", {"type": "Whitespace"}),
        ("normalizer", {"type": "NFC"}),
    ],
)
def test_other_kinds_of_bpe_are_left_to_tokenizers(tokenizer: Tokenizer, block: str, changes: dict[str, Any]):
    content = dict(tokenizer.content)
    content[block] = {**(content[block] or {}), **changes}
    twin = Tokenizer(tokenizer.content)
    twin.content = content
    assert mergeable(tokenizer) is not None
    assert mergeable(twin) is None


def characters() -> Iterator[str]:
    yield from map(chr, range(0xD800))
    yield from map(chr, range(0xE000, 0x110000))


@pytest.mark.slow
def test_every_unicode_character_is_split_alike_by_both_engines(tokenizer: Tokenizer, fast: Engine):
    """Contexts: between letters, after a space, between digit and space, doubled, between signs."""
    different = []
    contexts = (text for c in characters() for text in (f"a{c}b", f" {c}", f"1{c} ", c * 2, f".{c}."))
    while block := list(islice(contexts, 20_000)):
        ours = [fast._ids[fast._fast.encode_ordinary(text)].tolist() for text in block]
        theirs = tokenizer.encode_batch(block)
        different += [text for text, a, b in zip(block, ours, theirs, strict=True) if a != b]
    assert different == []
