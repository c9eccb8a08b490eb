import json
from collections.abc import Sequence
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, trainers

from nlptool.text import word_encoder
from nlptool.text.bulk_encoder import BulkEncoder, choose
from nlptool.text.config import Sentences
from nlptool.text.coverage import Loss
from nlptool.text.sentences import WHITE, segmenter
from nlptool.text.tokenizer import Tokenizer
from nlptool.text.word_encoder import word_by_word

TEXT = "The quick Café didn't jump. 1,234 dogs! 그는 갔다.그녀는 남았다. 他走了。她留下。彼は行った。 Ünïted Größe 😀 x"
PIECES = [
    *["word", " ", "\n", "\t", ". ", ".", "한글", "다.", "그", "😀", "中", "國。", "カナ", "'s", "12", "É", "e\u0301"],
    *["\u0301", "\u200d", "\ufeff", "\ufffd", "\x00", "\x01", "[MASK]", "ß", "İ", "ﬁ", "\u0338", "=", "x" * 70],
    *WHITE, "\x1c", "\x1f", "\U00020001",
]  # fmt: skip
TEXTS = st.text(st.characters(codec="utf8"), max_size=30) | st.lists(st.sampled_from(PIECES)).map("".join)
WORDPIECE = trainers.WordPieceTrainer(vocab_size=150, special_tokens=["[UNK]", "[MASK]"], show_progress=False)
BPE = trainers.BpeTrainer(vocab_size=150, special_tokens=["[UNK]"], show_progress=False)
WORDLEVEL = trainers.WordLevelTrainer(vocab_size=30, special_tokens=["[UNK]"], show_progress=False)
UNIGRAM = trainers.UnigramTrainer(
    vocab_size=90, unk_token="[UNK]", special_tokens=["[UNK]"], show_progress=False
)


def trained(
    model: Any, trainer: Any, normalizer: Any, before: Any, text: str = TEXT, **changes: Any
) -> Tokenizer:
    made = tokenizers.Tokenizer(model)
    if normalizer is not None:
        made.normalizer = normalizer
    made.pre_tokenizer = before
    made.train_from_iterator([text] * 9, trainer)
    return Tokenizer(json.loads(made.to_str()) | changes)


def bert(**how: bool) -> Tokenizer:
    return trained(
        models.WordPiece(unk_token="[UNK]"),
        WORDPIECE,
        normalizers.BertNormalizer(**how),
        pre_tokenizers.BertPreTokenizer(),
    )


@pytest.fixture(scope="module")
def all_kinds() -> list[tuple[Tokenizer, BulkEncoder, BulkEncoder]]:
    """Tokenizers of several kinds, with both ways to encode by each."""
    both = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    split = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    made = [
        bert(),
        bert(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False),
        trained(models.WordPiece(unk_token="[UNK]"), WORDPIECE, None, pre_tokenizers.BertPreTokenizer()),
        trained(models.BPE(), BPE, normalizers.NFC(), pre_tokenizers.Whitespace()),
        trained(models.BPE(unk_token="[UNK]"), BPE, both, split),
        trained(models.WordLevel(unk_token="[UNK]"), WORDLEVEL, both, pre_tokenizers.Whitespace()),
        trained(models.Unigram(), UNIGRAM, normalizers.NFD(), pre_tokenizers.WhitespaceSplit()),
    ]
    return [(one, BulkEncoder(one, "words"), BulkEncoder(one, "tokenizers")) for one in made]


def difference(words: BulkEncoder, whole: BulkEncoder, documents: Sequence[Sequence[str]]) -> str | None:
    lost, right = Loss(), Loss()
    found, expected = words.encode(documents, lost), whole.encode(documents, right)
    for name, one, other in zip(("ids", "lengths"), found, expected, strict=True):
        if one.tolist() != other.tolist():
            return f"{name} {one.tolist()}, not {other.tolist()}, of {documents!r}"
    return None if lost == right else f"{lost}, not {right}, of {documents!r}"


@given(st.lists(TEXTS, max_size=4))
@settings(max_examples=25, deadline=None)
def test_words_have_the_ids_of_the_whole_documents(
    all_kinds: list[tuple[Tokenizer, BulkEncoder, BulkEncoder]], texts: list[str]
):
    for _, words, whole in all_kinds:
        assert difference(words, whole, [segmenter(Sentences())(text) for text in texts]) is None


@given(st.lists(st.lists(st.text("aé.中 \n\f\u0301", max_size=4), max_size=6), max_size=3))
@settings(max_examples=25, deadline=None)
def test_tokens_of_a_word_go_to_the_sentences_that_they_begin_in(
    all_kinds: list[tuple[Tokenizer, BulkEncoder, BulkEncoder]], documents: list[list[str]]
):
    for _, words, whole in all_kinds:
        assert difference(words, whole, documents) is None


def test_every_character_is_encoded_alike_in_and_between_words(
    all_kinds: list[tuple[Tokenizer, BulkEncoder, BulkEncoder]],
):
    odd = [
        *map(chr, range(0x100)),
        *map(chr, range(0x1FF0, 0x2070)),
        *WHITE,
        *"\u0300\u0338\u3001\u3002\ufeff",
    ]
    odd += [chr(point) for point in range(0x3000, 0x30100, 599) if not 0xD800 <= point < 0xE000]
    sentences = [sentence for c in odd for sentence in (f"a{c}b ", f"{c}ab{c}{c} a", f"c.{c}d", " ")]
    documents = [sentences[begin : begin + 400] for begin in range(0, len(sentences), 400)]
    for _, words, whole in all_kinds:
        assert difference(words, whole, documents) is None


def test_what_another_split_would_change_is_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(word_encoder, "UNLIKE", "\x1c")  # str.split then cuts what the normaliser joins
    made = bert()
    assert (
        difference(BulkEncoder(made, "words"), BulkEncoder(made, "tokenizers"), [["the\x85 quick"]]) is None
    )
    assert (
        difference(BulkEncoder(made, "words"), BulkEncoder(made, "tokenizers"), [["qu\x85ick"]]) is not None
    )
    assert choose(made, ["qu\x85ick"]) == "tokenizers"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    for name, most in (("WORDS", 5), ("IDS", 20), ("LONGEST", 3)):
        monkeypatch.setattr(word_encoder, name, most)
        made = bert()
        words, whole = BulkEncoder(made, "words"), BulkEncoder(made, "tokenizers")
        for text in (TEXT, "quick dogs", TEXT, TEXT.lower()):
            assert difference(words, whole, [segmenter(Sentences())(text)]) is None


def test_a_word_is_asked_for_once(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    made = bert()
    encode = made.encode_offsets
    monkeypatch.setattr(made, "encode_offsets", lambda texts: asked.extend(texts) or encode(texts))
    words = BulkEncoder(made, "words")
    for _ in range(3):
        words.encode([["The quick", " The dogs"], ["quick The"]])
    assert asked == ["The quick dogs "]


def test_only_tokenizers_that_split_at_white_space_first_go_word_by_word():
    assert choose(bert(), [TEXT]) == "words"
    made = bert().content
    plain = {"id": 149, "content": "quick Café", "special": False, "single_word": False, "lstrip": False}
    others: list[dict[str, Any]] = [
        {"pre_tokenizer": None},
        {
            "pre_tokenizer": {
                "type": "Metaspace",
                "replacement": "▁",
                "prepend_scheme": "always",
                "split": True,
            }
        },
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": []}},
        {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits"}, {"type": "Whitespace"}],
            }
        },
        {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "_"}},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "_"}]}},
        {"added_tokens": [plain | {"rstrip": False, "normalized": True}]},
        {"model": made["model"] | {"dropout": 0.1}},
    ]
    assert word_by_word(made)
    assert not [change for change in others if word_by_word(made | change)]
