"""Tokens added to an existing tokenizer: the choice of tokens, and unchanged encodings."""

import json
from pathlib import Path

import pytest
import tokenizers

from nlptool.errors import DataError
from nlptool.text import extension
from nlptool.text.bulk_encoder import BulkEncoder
from nlptool.text.tokenizer import Tokenizer

OLD = ["the cat sat on the mat", "the hat of the man", "that man had a cat"] * 5
NEW = [
    "a screenplay by the man",
    "the screenplay and the screen",
    "plays on the screen",
    "영화가 좋아요 😀",
] * 4


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return Tokenizer.train(OLD, 290)


def wordpiece(words: list[str]) -> Tokenizer:
    """BERT's tokenizer with these pieces."""
    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    vocab = {name: number for number, name in enumerate([*special.values(), *words])}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocab, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return Tokenizer(json.loads(made.to_str()), special)


def test_training_further_gives_what_training_at_once_gives(bpe: Tokenizer):
    """Merges of byte-level BPE do not depend on how many follow."""
    longer, added = extension.extend(Tokenizer.train(OLD, 275), OLD, 15)
    whole = Tokenizer.train(OLD, 290)
    assert longer.vocab_size == whole.vocab_size == 275 + added
    for text in [*OLD, *NEW]:
        assert len(longer.encode(text)) == len(whole.encode(text))


def test_a_text_without_new_merges_keeps_its_ids_and_others_get_shorter(bpe: Tokenizer):
    longer, added = extension.extend(bpe, NEW, 40)
    assert longer.vocab_size == bpe.vocab_size + added
    assert longer.special == bpe.special
    for text in OLD:
        assert longer.encode(text) == bpe.encode(text)
    for text in NEW:
        assert len(longer.encode(text)) < len(bpe.encode(text))
        assert longer.decode(longer.encode(text)) == text


def test_the_fast_engine_gives_the_extended_ids(bpe: Tokenizer):
    longer, _ = extension.extend(bpe, NEW, 40)
    BulkEncoder(longer, "tiktoken").verify([[text] for text in [*OLD, *NEW]])


def test_further_tokens_stand_for_old_ones(bpe: Tokenizer):
    longer, _ = extension.extend(bpe, NEW, 40)
    pieces = extension.pieces_of(bpe, longer)
    assert pieces is not None
    assert sorted(pieces) == list(range(bpe.vocab_size, longer.vocab_size))
    for number, old in pieces.items():
        assert bpe.decode(old) == longer.decode([number])
        assert len(old) > 1
    assert extension.pieces_of(longer, bpe) is None
    assert extension.pieces_of(Tokenizer.train(NEW, 290), longer) is None


def test_it_is_the_same_in_transformers(bpe: Tokenizer, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    longer, _ = extension.extend(bpe, NEW, 40)
    longer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == longer.vocab_size
    for text in [*OLD, *NEW]:
        assert theirs(text, add_special_tokens=False)["input_ids"] == longer.encode(text)


def test_wordpiece_gets_whole_words_and_no_piece_that_no_word_uses():
    letters = sorted({sign for text in OLD for sign in text if sign.isalpha()} | set("screnplayby"))
    old = wordpiece([*letters, *(f"##{sign}" for sign in letters), "the", "play"])
    longer, added = extension.extend(old, NEW, 16)
    assert added == 16
    found = {longer.tokens[number] for text in NEW for number in longer.encode(text)}
    names = {longer.tokens[number] for number in range(old.vocab_size, longer.vocab_size)}
    assert {name for name in names if len(name.removeprefix("##")) > 1} <= found, "each is used by some word"
    assert {"screen", "screenplay"} <= names
    assert "영" in names, "characters that it lacked come first"
    assert longer.encode("the play") == old.encode("the play")
    pieces = extension.pieces_of(old, longer)
    assert pieces is not None
    number = longer.encode("screenplay")[0]
    assert [old.tokens[piece] for piece in pieces[number]] == ["s", *(f"##{sign}" for sign in "creenplay")]
    assert pieces[longer.encode("영")[0]] == [], "it stood for no token"


def test_other_tokenizers_are_refused():
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    old = Tokenizer(json.loads(made.to_str()), {"unk": "[UNK]"})
    with pytest.raises(DataError, match="byte-level BPE and WordPiece can be extended"):
        extension.extend(old, NEW, 5)


def test_a_text_without_pairs_adds_nothing(bpe: Tokenizer):
    assert extension.extend(bpe, ["x"], 5).added == 0
