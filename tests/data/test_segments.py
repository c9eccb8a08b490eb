"""ELECTRA's rows against its script, build_pretraining_dataset.py, written out sentence by sentence."""

from pathlib import Path

import numpy as np
import pytest

from nlptool.data.pretraining_examples import PackedBatch, Segments
from nlptool.data.pretraining_examples.segments import in_second
from nlptool.data.random_streams import RandomStreams
from nlptool.text.store import DTYPES, Split, SplitWriter

CLS, SEP, PAD, LENGTH = 1, 2, 0, 24


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """60 documents of 1 to 9 sentences of up to 12 tokens, of which each occurs once: 10, 11, 12 ..."""
    rng, following = np.random.default_rng(0), 10
    writer = SplitWriter(tmp_path_factory.mktemp("segments") / "train", DTYPES[8])
    for _ in range(60):
        lengths = rng.integers(1, 13, rng.integers(1, 10)).astype(np.int32)
        writer.add(np.arange(following, following + lengths.sum()), lengths)
        following += int(lengths.sum())
    writer.close()
    return Split(writer.prefix)


def rows_of(split: Split, epoch: int = 0) -> PackedBatch:
    examples = Segments(split, LENGTH, 0, cls=CLS, sep=SEP, pad=PAD)
    index = np.arange(len(examples))
    return examples.take(index, index * 0 + epoch, RandomStreams(0, epoch))


def segments(rows: PackedBatch, row: int) -> tuple[list[int], list[int]]:
    """The tokens of A and of B, after a look at all else."""
    assert rows.types is not None
    assert rows.lengths is not None
    ids, types, length = rows.ids[row].tolist(), rows.types[row].tolist(), int(rows.lengths[row])
    assert ids[0] == CLS
    assert ids[length - 1] == SEP
    assert ids[length:] == [PAD] * (LENGTH - length)
    assert types[length:] == [0] * (LENGTH - length)
    end = ids.index(SEP)
    assert types[:length] == [0] * (end + 1) + [1] * (length - end - 1)
    a, b = ids[1:end], ids[end + 1 : length - 1]
    assert a
    assert min(a + b) >= 10
    return a, b


def by_the_script(sizes: list[int], half: int, coin: bool) -> list[int]:
    first, second, places = 0, 0, []
    for size in sizes:
        if first == 0 or first + size < half or (second == 0 and first < half and coin):
            first += size
            places.append(0)
        else:
            second += size
            places.append(1)
    return places


def test_sentences_go_to_the_segments_that_the_script_puts_them_in():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 30, (500, 12))
    half, coin = rng.integers(1, 120, 500), rng.random(500) < 0.5
    expected = [by_the_script(s.tolist(), int(h), bool(c)) for s, h, c in zip(sizes, half, coin, strict=True)]
    assert in_second(sizes, half, coin).tolist() == expected
    assert any(
        0 in places[places.index(1) :] for places in expected if 1 in places
    )  # a short one jumps ahead


def test_rows_are_sentences_of_one_document_cut_to_the_length(split: Split):
    documents = [[sentence.tolist() for sentence in split.document(n)] for n in range(len(split))]
    document_of = {token: n for n, text in enumerate(documents) for sentence in text for token in sentence}
    rows, single, cut = rows_of(split), 0, 0
    for row in range(len(rows)):
        a, b = segments(rows, row)
        assert len({document_of[token] for token in a + b}) == 1
        text = documents[document_of[a[0]]]
        chunk = [sentence for sentence in text if sentence[0] in a + b]
        for segment in (a, b):
            whole = [token for sentence in chunk if sentence[0] in segment for token in sentence]
            assert segment == whole[: len(segment)]
            cut += len(segment) < len(whole)
        single += not b
    assert 0.1 < single / len(rows) < 0.7  # documents of a sentence have one segment, too
    assert cut > 10


def test_an_epoch_reads_about_what_the_split_has_also_of_short_documents(split: Split):
    read = sum(len(a) + len(b) for epoch in range(20) for a, b in map_rows(rows_of(split, epoch)))
    assert read / 20 / split.tokens == pytest.approx(1, abs=0.03)


def map_rows(rows: PackedBatch) -> list[tuple[list[int], list[int]]]:
    return [segments(rows, row) for row in range(len(rows))]


def test_a_row_is_the_same_whatever_rows_come_with_it(split: Split):
    examples = Segments(split, LENGTH, 0, cls=CLS, sep=SEP, pad=PAD)
    indices, epochs = np.arange(8), np.zeros(8, np.int64)
    together = examples.take(indices, epochs, RandomStreams(0, 5))
    rest = examples.take(indices[3:], epochs[3:], RandomStreams(0, 5, first=3))
    assert rest.ids.tolist() == together.ids[3:].tolist()


def test_rows_have_one_type_where_documents_have_one_sentence_or_rows_no_room(split: Split, tmp_path: Path):
    writer = SplitWriter(tmp_path / "train", DTYPES[8])
    for first in range(10, 60, 5):
        writer.add(np.arange(first, first + 5), np.array([5], np.int32))
    writer.close()
    found = [
        Segments(text, length, 0, cls=CLS, sep=SEP, pad=PAD).types
        for text, length in ((split, LENGTH), (Split(writer.prefix), LENGTH), (split, 4))
    ]
    assert found == [2, 1, 1]
