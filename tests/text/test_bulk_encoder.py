import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from nlptool.text import bulk_encoder, gpt2_pretokenizer
from nlptool.text.bulk_encoder import BulkEncoder, EngineDiffers, choose, mergeable
from nlptool.text.config import Sentences
from nlptool.text.sentences import segmenter
from nlptool.text.tokenizer import SMALLEST, Tokenizer
from nlptool.text.word_boundaries import byte_table

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
def fast(tokenizer: Tokenizer) -> BulkEncoder:
    return BulkEncoder(tokenizer, "tiktoken")


@pytest.fixture(scope="module")
def slow(tokenizer: Tokenizer) -> BulkEncoder:
    return BulkEncoder(tokenizer, "tokenizers")


def lists(encoding: bulk_encoder.Encoding) -> list[list[int]]:
    return [array.tolist() for array in encoding]


@given(st.lists(TEXTS, max_size=5))
@settings(max_examples=150, deadline=None)
def test_both_engines_give_the_ids_of_the_whole_documents(
    fast: BulkEncoder, slow: BulkEncoder, tokenizer: Tokenizer, texts: list[str]
):
    documents = [segmenter(Sentences())(text) for text in texts]
    ids, lengths = lists(fast.encode(documents))
    assert [ids, lengths] == lists(slow.encode(documents))
    assert ids == [token for text in texts for token in tokenizer.encode(text)]
    assert len(lengths) == sum(map(len, documents))


def test_ids_and_lengths_of_two_documents_are_those_of_their_sentences(
    fast: BulkEncoder, tokenizer: Tokenizer
):
    documents = [["A fox.", " Two dogs."], ["한글"]]
    expected = [tokenizer.encode(sentence) for document in documents for sentence in document]
    ids, lengths = fast.encode(documents)
    assert ids.tolist() == [token for sentence in expected for token in sentence]
    assert lengths.tolist() == [len(sentence) for sentence in expected]


def test_a_cut_within_a_word_is_kept_by_both_engines(fast: BulkEncoder, slow: BulkEncoder):
    for documents in ([["fo", "x"]], [["f" * 20_000, "fo", "x"]], [["fo", "x"], ["fox"]]):
        assert lists(fast.encode(documents)) == lists(slow.encode(documents))
        assert len(fast.encode(documents)[1]) == sum(map(len, documents))


def test_long_documents_are_encoded_in_stretches(
    fast: BulkEncoder, slow: BulkEncoder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bulk_encoder, "STRETCH", 20)
    documents = [segmenter(Sentences())(ENGLISH * 3), ["한글"], [""], ["x" * 50]]
    assert lists(fast.encode(documents)) == lists(slow.encode(documents))


def test_unknown_characters_are_left_to_the_tokenizer(fast: BulkEncoder, slow: BulkEncoder):
    documents = [["A fox.", " Two \u0378 dogs."], ["한글"], ["\U000e0fff"]]
    assert lists(fast.encode(documents)) == lists(slow.encode(documents))


def test_white_space_alone_is_encoded_alone(fast: BulkEncoder, slow: BulkEncoder):
    documents = [["a \t b"], ["  "], [" \n"], ["\u3000\u3000 c"], ["\n\n"], [" "], ["\x1c"]]
    assert lists(fast.encode(documents)) == lists(slow.encode(documents))


def test_no_document_gives_no_token(fast: BulkEncoder, slow: BulkEncoder):
    for documents in ([], [[]], [[""]]):
        assert lists(fast.encode(documents)) == lists(slow.encode(documents))
        assert len(fast.encode(documents)[0]) == 0


def test_a_difference_is_noticed_and_the_tokenizer_chosen(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
):
    assert choose(tokenizer, [ENGLISH, KOREAN]) == "tiktoken"
    monkeypatch.setattr(bulk_encoder, "PATTERN", r"\S+|\s")  # words keep their commas
    with pytest.raises(EngineDiffers):
        BulkEncoder(tokenizer, "tiktoken").verify([[ENGLISH]])
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
    assert BulkEncoder(turned, "tiktoken").encode([["fox 한글"]])[0].tolist() == turned.encode("fox 한글")


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


def revealing() -> Tokenizer:
    """A tokenizer that merges any byte with the first byte of the next character: where text is split, it shows."""
    names = {byte: name for name, byte in byte_table().items()}
    firsts = [*range(0x80), *range(0xC2, 0xF5)]
    merges = [[names[a], names[b]] for a in names for b in firsts]
    tokens = [*names.values(), *(a + b for a, b in merges)]
    content = Tokenizer.train([], SMALLEST).content
    vocab = {token: token_id for token_id, token in enumerate(tokens)}
    return Tokenizer(
        content | {"model": content["model"] | {"vocab": vocab, "merges": merges}, "added_tokens": []}
    )


CONTEXTS = ("a{c}", "1{c}", ".{c}", " {c}", "{c}{c}", "'{c}", "{c}\n")


def different(characters: Iterator[str]) -> list[str]:
    """Texts in which the engines split differently."""
    tokenizer = revealing()
    fast = BulkEncoder(tokenizer, "tiktoken")
    found: list[str] = []
    while block := list(islice(characters, 50_000)):
        texts = ["\n".join(context.replace("{c}", c) for context in CONTEXTS) for c in block]
        ids, lengths = fast.encode([texts])
        ours = np.split(ids, np.cumsum(lengths)[:-1])
        theirs = tokenizer.encode_batch(texts)
        found += [t for t, a, b in zip(texts, ours, theirs, strict=True) if a.tolist() != b]
    return found


def test_the_first_unicode_characters_are_split_alike_by_both_engines():
    assert different(map(chr, range(0x600))) == []


def test_another_way_of_splitting_would_be_noticed(monkeypatch: pytest.MonkeyPatch):
    kinds = gpt2_pretokenizer._kinds().copy()
    kinds[ord("é")] = gpt2_pretokenizer.OTHER
    monkeypatch.setattr(gpt2_pretokenizer, "_kinds", lambda: kinds)
    assert {text[1] for text in different(map(chr, range(0x600)))} == {"é"}


@pytest.mark.slow
def test_every_unicode_character_is_split_alike_by_both_engines():
    known = np.flatnonzero(gpt2_pretokenizer._kinds() != gpt2_pretokenizer.UNKNOWN)
    assert len(known) > 140_000
    assert different(map(chr, known.tolist())) == []


def test_tokens_that_join_across_the_ends_of_sentences_are_those_of_the_whole_document():
    joining = (
        r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"  # Llama 3's
    )
    words = pre_tokenizers.Split(Regex(joining), "isolated")
    llama = tokenizers.Tokenizer(models.BPE())
    llama.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    llama.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    pieces = tokenizers.Tokenizer(models.Unigram())
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram = trainers.UnigramTrainer(
        vocab_size=90, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    texts = ["He left.\n\nShe stayed.\nAll did. 그는 갔다.그녀는 남았다.", "One line.\r\n Two lines!\n"]
    for made, how in ((llama, trainer), (pieces, unigram)):
        made.train_from_iterator(texts * 9, how)
        loaded = Tokenizer(json.loads(made.to_str()))
        assert choose(loaded, texts) == "tokenizers"
        documents = [segmenter(Sentences())(text) for text in texts]
        ids, lengths = BulkEncoder(loaded, "tokenizers").encode(documents)
        assert ids.tolist() == [token for text in texts for token in loaded.encode(text)]
        assert len(lengths) == sum(map(len, documents)) > 5
        assert lengths.sum() == len(ids)
        first = loaded.decode(ids[: lengths[0]].tolist())
        assert first.replace(" ", "").replace("▁", "").rstrip() == "Heleft."
