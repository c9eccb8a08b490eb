import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nlptool.errors import DataError
from nlptool.text.store import DTYPES, Split, SplitWriter, TokenStore, dtype_for

DOCUMENTS = [[[5, 6, 7], [8]], [[9, 10]], [[11], [12, 13], [14, 15, 16, 17]]]


def write(prefix: Path, documents: list[list[list[int]]], vocab_size: int = 100) -> Split:
    writer = SplitWriter(prefix, dtype_for(vocab_size))
    for document in documents:
        lengths = np.array([len(sentence) for sentence in document], np.int32)
        writer.add(np.array([i for sentence in document for i in sentence]), lengths)
    writer.close()
    return Split(prefix)


def contents(split: Split) -> list[list[list[int]]]:
    return [[sentence.tolist() for sentence in split.document(i)] for i in range(len(split))]


@pytest.mark.parametrize("vocab_size", [100, 100_000])
def test_documents_come_back_as_they_were_written(tmp_path: Path, vocab_size: int):
    split = write(tmp_path / "train", DOCUMENTS, vocab_size)
    assert contents(split) == DOCUMENTS
    assert (len(split), split.sentences, split.tokens) == (3, 6, 13)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.bin", "train.idx"]


@pytest.mark.slow  # importing megatron takes seconds
def test_megatron_reads_the_same_tokens(tmp_path: Path):
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    write(tmp_path / "train", DOCUMENTS)
    theirs = indexed.IndexedDataset(str(tmp_path / "train"), mmap=True)
    starts = theirs.document_indices.tolist()
    read = [[theirs[i].tolist() for i in range(a, b)] for a, b in pairwise(starts)]
    assert read == DOCUMENTS


def test_positions_find_their_sentence_and_document(tmp_path: Path):
    split = write(tmp_path / "train", DOCUMENTS)
    positions = np.arange(13)
    assert split.sentence_at(positions).tolist() == [0, 0, 0, 1, 2, 2, 3, 4, 4, 5, 5, 5, 5]
    assert split.document_at(positions).tolist() == [0] * 4 + [1] * 2 + [2] * 7
    assert split.starts(np.arange(7)).tolist() == [0, 3, 4, 6, 7, 9, 13]
    assert [split.token_range(i) for i in (1, 5)] == [(3, 4), (9, 13)]


def test_bisection_agrees_with_a_plain_search(tmp_path: Path):
    rng = np.random.default_rng(0)
    documents = [[[1] * int(n) for n in rng.integers(1, 9, size=rng.integers(1, 7))] for _ in range(201)]
    split = write(tmp_path / "train", documents)
    sentence_of = [i for i in range(split.sentences) for _ in range(*split.token_range(i))]
    assert split.sentence_at(np.arange(split.tokens)).tolist() == sentence_of
    document_of = [i for i, document in enumerate(documents) for _ in document]
    assert split.document_of(np.arange(split.sentences)).tolist() == document_of


def test_an_empty_split_has_no_documents(tmp_path: Path):
    split = write(tmp_path / "heldout", [])
    assert (len(split), split.sentences, split.tokens) == (0, 0, 0)


def test_the_last_document_can_be_taken_back(tmp_path: Path):
    writer = SplitWriter(tmp_path / "train", dtype_for(100))
    for document in DOCUMENTS:
        writer.add(np.concatenate(document), np.array([len(s) for s in document], np.int32))
    ids, lengths = writer.pop()
    writer.add(np.array([3]), np.array([1], np.int32))
    writer.close()
    assert (ids.tolist(), lengths.tolist()) == ([11, 12, 13, 14, 15, 16, 17], [1, 2, 4])
    assert contents(Split(tmp_path / "train")) == [*DOCUMENTS[:2], [[3]]]


def test_two_bytes_while_the_vocabulary_allows_it():
    assert [dtype_for(size).itemsize for size in (100, 65_499, 65_500)] == [2, 2, 4]


def sparse(prefix: Path, tokens: int, sentence: int, document: int) -> Split:
    """A store of zeros that takes almost no disk, of equal sentences (tokens) and documents (sentences)."""
    sentences = tokens // sentence
    with prefix.with_suffix(".bin").open("wb") as data:
        data.truncate(2 * tokens)
    writer = SplitWriter(prefix.with_name("other"), DTYPES[8])
    for start in range(0, sentences, 1 << 20):
        count = min(1 << 20, sentences - start)
        counts = np.full(count // document, document, "<i8")
        writer.add_many(np.empty(0, "<u2"), np.full(count, sentence, np.int32), counts)
    writer.close()
    prefix.with_name("other.idx").rename(prefix.with_suffix(".idx"))
    return Split(prefix)


def test_a_store_of_a_billion_tokens_opens_and_reads_far_away_at_once(tmp_path: Path):
    sparse(tmp_path / "train", 10**9, sentence=250, document=40)
    started = time.perf_counter()
    split = Split(tmp_path / "train")
    positions = np.random.default_rng(0).integers(0, split.tokens, 32)
    found = split.document_at(positions)
    rows = [split.read(p, p + 128) for p in positions]
    assert time.perf_counter() - started < 0.1
    assert split.tokens == 10**9
    assert found.tolist() == (positions // 10_000).tolist()
    assert all(len(row) == 128 for row in rows)


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("train.bin", lambda b: b[:-1], "train.bin: has 25 bytes, not 26"),
        ("train.bin", None, "train.bin"),
        ("train.idx", lambda b: b[:-1], "train.idx: has"),
        ("train.idx", lambda b: b"", "train.idx: is missing or empty"),
        ("train.idx", lambda b: b"PARQUET" + b[7:], "not an index of Megatron's format"),
        ("train.idx", None, "train.idx: is missing"),
    ],
)
def test_a_damaged_split_is_refused_by_name(tmp_path: Path, name: str, damage, words: str):
    write(tmp_path / "train", DOCUMENTS)
    path = tmp_path / name
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    with pytest.raises(DataError, match=words):
        Split(tmp_path / "train")


@pytest.mark.parametrize("text", [None, "{", "{}", "[]"])
def test_a_folder_without_readable_facts_is_not_a_store(tmp_path: Path, text: str | None):
    if text is not None:
        (tmp_path / "store.json").write_text(text)
    with pytest.raises(DataError, match=r"store\.json"):
        TokenStore(tmp_path)


def test_the_store_knows_its_tokenizer(tmp_path: Path):
    facts = {"fingerprint": "abc", "vocab_size": 100, "special": {"mask": 4}}
    (tmp_path / "store.json").write_text(json.dumps(facts))
    write(tmp_path / "train", DOCUMENTS)
    store = TokenStore(tmp_path)
    assert (store.fingerprint, store.vocab_size, store.special["mask"]) == ("abc", 100, 4)
    assert len(store.split("train")) == 3
