import hashlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlptool.errors import DataError
from nlptool.text.tokenizer import SMALLEST, SPECIAL, Tokenizer

ENGLISH = "The quick brown fox jumps over the lazy dog. It didn't see 1,234 dogs, or 56 cats. "
KOREAN = "국민 여러분, 안녕하십니까. 대한민국의 헌법을 지키겠습니다. "
HARD = [
    "", " ", "\n", "a\r\nb", "\x00", "a\x00b", "  two  spaces ", "\t\ttabs", "한글", "한글 자모", "ㄱㄴㄷ",
    "가", "😀", "👩‍👩‍👧", "🇰🇷", "\u00a0x", "\u3000전각", "\u2028", "\ufeffBOM", "\uff11\uff12", "½",
    "e\u0301", "don't I'LL we've", "\x1c\x1d\x1e\x1f", "\x85", "\u200b", "क्षि", "[MASK]",
    "<|endoftext|>x", "\U0010ffff",
]  # fmt: skip
TEXTS = st.text(st.characters(codec="utf8"), max_size=60) | st.lists(st.sampled_from(HARD)).map("".join)


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return Tokenizer.train([ENGLISH, KOREAN] * 20, 340)


@pytest.fixture(scope="module")
def automatic(trained: Tokenizer, tmp_path_factory: pytest.TempPathFactory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("tokenizer")
    trained.save(folder)
    return transformers.AutoTokenizer.from_pretrained(folder)


def word_piece(folder: Path, *tokens: str) -> Path:
    path = folder / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tokens]) + "\n", "utf8")
    return path


def words(tokenizer: Tokenizer, text: str) -> list[list[str]]:
    """The tokens of a text, grouped into words by the boundaries."""
    first, last = tokenizer.word_boundaries()
    groups: list[list[str]] = []
    before = -2
    for token in tokenizer.encode(text):
        if first[token] != before:
            groups.append([])
        groups[-1].append(tokenizer.decode([token]))
        before = int(last[token])
    return groups


def places_by_the_library(tokenizer: Tokenizer, texts: list[str]) -> list[list[tuple[int, int]]]:
    """What each token stands for by the library's offsets, white space off both ends."""
    found = []
    for text, (_, offsets) in zip(texts, tokenizer.encode_offsets(texts), strict=True):
        stripped = []
        for begin, end in offsets.tolist():
            inner = text[begin:end]
            left = len(inner) - len(inner.lstrip())
            stripped.append((begin + left, begin + left + len(inner.strip())))
        found.append(stripped)
    return found


@given(texts=st.lists(TEXTS, max_size=5))
@settings(max_examples=60, deadline=None)
def test_places_of_tokens_are_the_librarys_without_space(trained: Tokenizer, texts: list[str]):
    expected = places_by_the_library(trained, texts)
    encoded = trained.encode_places(texts)
    assert [[tuple(place) for place in places.tolist()] for _, places in encoded] == expected
    assert [ids for ids, _ in encoded] == trained.encode_batch(texts)


def test_places_of_word_pieces_are_the_librarys(tmp_path: Path):
    tokenizer = Tokenizer.load(word_piece(tmp_path, "un", "##able", "서울", "##에", "e"))
    texts = ["unable  서울에", "", "[UNK] \u3000é un\n", *HARD]
    expected = places_by_the_library(tokenizer, texts)
    assert [list(map(tuple, of.tolist())) for _, of in tokenizer.encode_places(texts)] == expected
    assert sum(map(len, expected)) > 10


def test_special_tokens_come_first_then_bytes_then_merges(trained: Tokenizer):
    assert [trained.tokens[i] for i in range(6)] == list(SPECIAL.values())
    assert trained.special == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4, "eos": 5}
    assert sorted(len(trained.tokens[i]) for i in range(6, SMALLEST)) == [1] * 256
    assert trained.vocab_size == 340


def test_merges_are_those_found_by_hand():
    tokenizer = Tokenizer.train(["aab aab aab"], 264)
    # " aab" occurs twice, "aab" three times: first aa (3), then aa+b (3).
    assert tokenizer.content["model"]["merges"] == [["a", "a"], ["aa", "b"]]
    assert tokenizer.encode("aab b") == [263, tokenizer.encode(" ")[0], tokenizer.encode("b")[0]]


def test_a_small_corpus_gives_a_smaller_vocabulary():
    assert Tokenizer.train(["ab"], 10_000).vocab_size == SMALLEST


def test_training_is_repeatable():
    one, two = (Tokenizer.train([ENGLISH, KOREAN] * 20, 340) for _ in range(2))
    assert one.fingerprint == two.fingerprint


def test_an_interrupt_does_not_wait_for_the_end_of_training():
    never = threading.Event()

    def interrupting() -> Iterator[str]:
        yield ENGLISH
        assert threading.current_thread() is not threading.main_thread()  # which alone hears it
        signal.raise_signal(signal.SIGINT)
        never.wait(30)

    started = time.monotonic()
    # A shell starts what it runs in the background with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Tokenizer.train(interrupting(), 300)
    finally:
        signal.signal(signal.SIGINT, before)
    never.set()
    assert time.monotonic() - started < 10


def test_what_fails_while_texts_are_read_is_raised():
    def failing() -> Iterator[str]:
        yield ENGLISH
        raise DataError("broken file")

    with pytest.raises(DataError, match="broken file"):
        Tokenizer.train(failing(), 300)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_auto_tokenizer_gives_the_same_ids(trained: Tokenizer, automatic, text: str):
    for name in SPECIAL.values():
        text = text.replace(name, "")
    assert automatic.encode(text, add_special_tokens=False) == trained.encode(text)


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_decoding_gives_the_text_back(trained: Tokenizer, text: str):
    assert trained.decode(trained.encode(text)) == text


def test_names_of_special_tokens_in_a_text_are_ordinary_text(trained: Tokenizer):
    for name in SPECIAL.values():
        ids = trained.encode(f"a {name} b")
        assert min(ids) >= len(SPECIAL)
        assert trained.decode(ids) == f"a {name} b"
        assert trained.encode_batch([name])[0] == trained.encode(name)


def test_auto_tokenizer_adds_special_tokens_as_bert_does(trained: Tokenizer, automatic):
    a, b = trained.encode("fox"), trained.encode("dog")
    single, pair = automatic("fox"), automatic("fox", "dog")
    assert single["input_ids"] == [2, *a, 3]
    assert pair["input_ids"] == [2, *a, 3, *b, 3]
    assert pair["token_type_ids"] == [0] * (len(a) + 2) + [1] * (len(b) + 1)
    assert (automatic.mask_token_id, automatic.pad_token_id, automatic.unk_token_id) == (4, 0, 1)
    assert (automatic.cls_token_id, automatic.sep_token_id, automatic.eos_token_id) == (2, 3, 5)
    assert automatic.model_max_length == 512
    assert len(automatic) == trained.vocab_size


def test_a_saved_tokenizer_loads_as_the_same(trained: Tokenizer, tmp_path: Path):
    trained.save(tmp_path)
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        loaded = Tokenizer.load(path)
        assert loaded.fingerprint == trained.fingerprint
        assert loaded.special == trained.special
        assert loaded.encode(ENGLISH) == trained.encode(ENGLISH)


def test_the_fingerprint_sees_the_merges_and_not_the_layout(trained: Tokenizer):
    shuffled = json.loads(json.dumps(dict(reversed(trained.content.items())), indent=8))
    assert Tokenizer(shuffled).fingerprint == trained.fingerprint
    other = json.loads(json.dumps(trained.content))
    other["model"]["merges"].pop()
    assert Tokenizer(other).fingerprint != trained.fingerprint


def test_truncation_and_padding_of_a_foreign_tokenizer_are_dropped(trained: Tokenizer, tmp_path: Path):
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps(trained.content | {"truncation": cut}))
    loaded = Tokenizer.load(tmp_path)
    assert loaded.encode(ENGLISH) == trained.encode(ENGLISH)
    assert loaded.fingerprint == trained.fingerprint


def test_a_word_piece_vocabulary_reads_as_bert_reads_it(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    word_piece(tmp_path, "the", "un", "##aff", "##able", "!", "cafe")
    tokenizer = Tokenizer.load(tmp_path)
    text = "The unaffable Café! zzz"
    assert tokenizer.encode(text) == [5, 6, 7, 8, 10, 9, 1]
    assert tokenizer.special == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    folder = tmp_path / "saved"
    tokenizer.save(folder)
    automatic = transformers.AutoTokenizer.from_pretrained(folder)
    assert automatic(text)["input_ids"] == [2, *tokenizer.encode(text), 3]
    assert Tokenizer.load(folder / "vocab.txt").encode(text) == tokenizer.encode(text)


def test_a_cased_word_piece_vocabulary_keeps_capitals(tmp_path: Path):
    tokenizer = Tokenizer.load(word_piece(tmp_path, "the", "The"))
    assert tokenizer.encode("The the") == [6, 5]


def test_word_piece_takes_names_of_special_tokens_for_text(tmp_path: Path):
    tokenizer = Tokenizer.load(word_piece(tmp_path, "[", "]", "mask"))
    assert tokenizer.encode("[MASK]") == [5, 7, 6]


def gpt2_folder(folder: Path, trained: Tokenizer) -> dict[int, int]:
    """vocab.json and merges.txt as OpenAI's: bytes, merges, end of text. Returns the trained ids' numbers there."""
    order = [i for i in range(trained.vocab_size) if i not in trained.special.values()]
    order.append(trained.special["eos"])
    vocab = {trained.tokens[old]: new for new, old in enumerate(order)}
    merges = ["#version: 0.2", *(" ".join(pair) for pair in trained.content["model"]["merges"])]
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf8")
    return {old: new for new, old in enumerate(order)}


def test_a_folder_of_gpt2_reads_as_gpt2_reads_it(trained: Tokenizer, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    numbers = gpt2_folder(tmp_path, trained)
    loaded = Tokenizer.load(tmp_path)
    theirs = transformers.GPT2Tokenizer.from_pretrained(tmp_path)
    assert loaded.special == {"eos": 334}
    assert loaded.vocab_size == 335
    for text in [*HARD, ENGLISH, KOREAN]:
        ids = loaded.encode(text)
        assert ids == [numbers[i] for i in trained.encode(text)]
        assert loaded.decode(ids) == text
        if not any(name in text for name in SPECIAL.values()):
            assert theirs.encode(text) == ids
    assert Tokenizer.load(tmp_path / "vocab.json").fingerprint == loaded.fingerprint
    loaded.save(tmp_path / "saved")
    saved = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert saved(ENGLISH)["input_ids"] == loaded.encode(ENGLISH)
    assert set(saved(ENGLISH)) == {"input_ids", "attention_mask"}
    assert saved.eos_token_id == 334


def test_a_folder_of_gpt2_may_name_other_special_tokens_and_begin_texts_with_a_space(
    trained: Tokenizer, tmp_path: Path
):
    numbers = gpt2_folder(tmp_path, trained)
    config = {"eos_token": "<|endoftext|>", "pad_token": "!", "add_prefix_space": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 1024}))
    loaded = Tokenizer.load(tmp_path)
    assert loaded.special == {"eos": 334, "pad": numbers[trained.encode("!")[0]]}
    assert loaded.encode("fox") == [numbers[i] for i in trained.encode(" fox")]
    assert loaded.max_length == 1024


def test_a_vocabulary_without_its_merges_is_an_error(trained: Tokenizer, tmp_path: Path):
    gpt2_folder(tmp_path, trained)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(DataError, match=r"no merges\.txt beside it"):
        Tokenizer.load(tmp_path)


def test_special_tokens_are_found_by_the_configuration(trained: Tokenizer, tmp_path: Path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(trained.content))
    config = {"mask_token": {"content": "[SEP]"}, "pad_token": "[PAD]", "model_max_length": 77}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    loaded = Tokenizer.load(tmp_path)
    assert loaded.special == {"mask": 3, "pad": 0}
    assert loaded.max_length == 77


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model": {"type": "BPE"}}'])
def test_a_broken_tokenizer_is_an_error_that_names_the_file(tmp_path: Path, text: str):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(DataError, match=r"tokenizer\.json: cannot be read"):
        Tokenizer.load(tmp_path)


def test_a_missing_tokenizer_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="no tokenizer here"):
        Tokenizer.load(tmp_path / "nowhere")


def test_a_word_piece_vocabulary_without_special_tokens_is_an_error(tmp_path: Path):
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"no \[UNK\], \[CLS\], \[SEP\] in this vocabulary"):
        Tokenizer.load(tmp_path)


def test_words_of_byte_level_bpe_are_runs_of_letters_digits_and_signs(trained: Tokenizer):
    found = ["".join(word) for word in words(trained, "The foxes didn't see 1,234  dogs--or\n56 cats.")]
    assert found == [
        "The", " foxes", " didn", "'t", " see", " 1", ",", "234", " ", " dogs", "--", "or", "\n", "56",
        " cats", ".",
    ]  # fmt: skip


def test_korean_words_are_eojeol_without_punctuation(trained: Tokenizer):
    first, last = trained.word_boundaries()
    ids = trained.encode("대한민국의 끝, 뷁")
    starts = first[ids][1:] != last[ids][:-1]
    found = [trained.decode(word.tolist()) for word in np.split(ids, np.flatnonzero(starts) + 1)]
    assert found == ["대한민국의", " 끝", ",", " 뷁"]


def test_bytes_of_one_character_are_one_word(trained: Tokenizer):
    first, last = trained.word_boundaries()
    ids = trained.encode("x뷁")  # never seen in training: three bytes
    assert len(ids) == 4
    assert [first[b] != last[a] for a, b in pairwise(ids)] == [False, False, False]


def test_word_piece_continues_a_word_with_its_prefix(tmp_path: Path):
    tokenizer = Tokenizer.load(word_piece(tmp_path, "un", "##aff", "##able", "!", "a", "##"))
    assert words(tokenizer, "unaffable a!") == [["un", "##aff", "##able"], ["a"], ["!"]]


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_bytes_of_the_tokens_are_those_of_the_text(trained: Tokenizer, text: str):
    counts = trained.byte_counts()
    assert counts is not None
    assert counts[trained.encode(text)].sum() == len(text.encode())
    assert not counts[list(trained.special.values())].any()


def test_pieces_of_words_have_no_bytes(tmp_path: Path):
    assert Tokenizer.load(word_piece(tmp_path, "un", "##able")).byte_counts() is None


def test_for_a_decoder_nothing_is_put_around_a_text(trained: Tokenizer, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    trained.bare().save(tmp_path)
    inputs = transformers.AutoTokenizer.from_pretrained(tmp_path)("The fox")
    assert inputs["input_ids"] == trained.encode("The fox")
    assert set(inputs) == {"input_ids", "attention_mask"}


def test_special_tokens_neither_continue_a_word_nor_are_continued(trained: Tokenizer):
    first, last = trained.word_boundaries()
    special = np.array(list(trained.special.values()))
    assert first.dtype == last.dtype == np.int8
    assert first.shape == last.shape == (trained.vocab_size,)
    assert not np.isin(first[special], last).any()
    assert not np.isin(last[special], first).any()


def test_the_space_before_a_mask_is_no_token_by_itself(trained: Tokenizer, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    trained.save(tmp_path)
    automatic = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "the old [MASK] stood\n[MASK], by [MASK]"
    mask = trained.special["mask"]
    expected = trained.encode("the old"), trained.encode(" stood"), trained.encode(","), trained.encode(" by")
    ids = [*expected[0], mask, *expected[1], mask, *expected[2], *expected[3], mask]
    assert trained.encode_masked(text) == automatic.encode(text, add_special_tokens=False) == ids
    assert mask not in trained.encode(text)
    assert trained.encode_masked("[SEP] [MASK]") == [*trained.encode("[SEP]"), mask]


def test_an_older_tokenizer_whose_mask_takes_no_space_is_the_same_and_is_saved_as_it_is_meant(
    trained: Tokenizer, tmp_path: Path
):
    trained.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace('"lstrip": true', '"lstrip": false'))
    old = Tokenizer.load(tmp_path)
    assert old.fingerprint == trained.fingerprint
    assert old.encode_masked("the [MASK]") == trained.encode_masked("the [MASK]")
    old.save(tmp_path)
    (mask,) = (token for token in json.loads(path.read_text())["added_tokens"] if token["lstrip"])
    assert mask["content"] == "[MASK]"


def test_a_store_made_with_an_imported_tokenizer_before_keeps_its_fingerprint(trained: Tokenizer):
    content = json.loads(json.dumps(trained.content))
    before = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    assert before != trained.fingerprint
    assert Tokenizer(content).is_called(before)
    assert Tokenizer(content).is_called(trained.fingerprint)
    assert not Tokenizer(content).is_called("0" * 64)
