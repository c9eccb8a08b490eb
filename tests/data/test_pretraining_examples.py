import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nlptool.data.pretraining_examples import PackedBatch, PackedRows, Pairs, SegmentPairs, fit
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.text.store import DTYPES, Split, SplitWriter

CLS, SEP, PAD, EOT = 1, 2, 0, 3


def write(prefix: Path, documents: list[list[list[int]]]) -> Split:
    writer = SplitWriter(prefix, DTYPES[8])
    for document in documents:
        lengths = np.array([len(sentence) for sentence in document], np.int32)
        writer.add(np.array([i for sentence in document for i in sentence]), lengths)
    writer.close()
    return Split(prefix)


def numbered(rng: np.random.Generator, documents: int, sentences: int, longest: int) -> list[list[list[int]]]:
    """Documents in which every token occurs once in the corpus: 10, 11, 12 ..."""
    following = 10
    corpus = []
    for _ in range(documents):
        document = []
        for _ in range(rng.integers(1, sentences + 1)):
            size = int(rng.integers(1, longest + 1))
            document.append(list(range(following, following + size)))
            following += size
        corpus.append(document)
    return corpus


def stream(corpus: list[list[list[int]]], between: int) -> list[int]:
    return [i for document in corpus for i in [*(i for s in document for i in s), between]]


def take(
    examples: PackedRows | SegmentPairs, indices: list[int], epoch: int = 0, seed: int = 0
) -> PackedBatch:
    chosen = np.array(indices)
    return examples.take(chosen, np.full(len(chosen), epoch), RandomStreams(seed, 0))


# Packed rows


def test_rows_are_stretches_of_the_endless_stream(tmp_path: Path):
    corpus = numbered(np.random.default_rng(0), 40, 5, 7)
    packed = PackedRows(write(tmp_path / "train", corpus), 16, 0, first=CLS, between=SEP, last=SEP)
    endless = stream(corpus, SEP) * 2
    whole = ",".join(map(str, endless))
    rows = take(packed, list(range(len(packed))), epoch=3).ids
    assert (rows[:, 0] == CLS).all()
    assert (rows[:, -1] == SEP).all()
    assert all(",".join(map(str, row)) in whole for row in rows[:, 1:-1].tolist())


def test_an_epoch_holds_every_token_but_less_than_a_row_and_none_twice(tmp_path: Path):
    corpus = numbered(np.random.default_rng(1), 30, 4, 9)
    split = write(tmp_path / "train", corpus)
    packed = PackedRows(split, 12, 0, first=CLS, between=SEP, last=SEP)
    assert len(packed) == len(stream(corpus, SEP)) // 10
    for epoch in range(4):
        ids = take(packed, list(range(len(packed))), epoch).ids[:, 1:-1].ravel()
        text = ids[ids != SEP]
        assert len(set(text.tolist())) == len(text)
        assert len(stream(corpus, SEP)) - len(ids) < 10


def test_each_epoch_cuts_elsewhere_and_the_same_epoch_the_same(tmp_path: Path):
    split = write(tmp_path / "train", numbered(np.random.default_rng(1), 30, 4, 9))
    packed = PackedRows(split, 12, 0, first=CLS, between=SEP, last=SEP)
    first, again, second = (take(packed, [0, 1, 2], epoch).ids.tolist() for epoch in (0, 0, 1))
    assert first == again
    assert first != second
    other = PackedRows(split, 12, 1, first=CLS, between=SEP, last=SEP)
    assert take(other, [0, 1, 2]).ids.tolist() != first


def test_a_row_is_the_same_alone_and_among_others_of_other_epochs(tmp_path: Path):
    split = write(tmp_path / "train", numbered(np.random.default_rng(2), 30, 4, 9))
    packed = PackedRows(split, 12, 0, first=CLS, between=SEP, last=SEP)
    mixed = packed.take(np.array([7, 0, 3]), np.array([0, 1, 0]), RandomStreams(0, 0)).ids
    assert mixed[0].tolist() == take(packed, [7], 0).ids[0].tolist()
    assert mixed[1].tolist() == take(packed, [0], 1).ids[0].tolist()


def test_documents_of_one_token_are_separated_too(tmp_path: Path):
    packed = PackedRows(write(tmp_path / "train", [[[7]]] * 10), 6, 0, first=CLS, between=SEP, last=SEP)
    inner = take(packed, [0, 1, 2]).ids[:, 1:-1].tolist()
    assert inner in ([[7, SEP, 7, SEP]] * 3, [[SEP, 7, SEP, 7]] * 3)


def test_a_row_at_the_end_of_the_stream_goes_on_at_its_beginning(tmp_path: Path):
    packed = PackedRows(write(tmp_path / "train", [[[10, 11], [12]], [[13, 14, 15]]]), 8, 0, between=EOT)
    endless = [10, 11, 12, EOT, 13, 14, 15, EOT] * 2
    seen = {tuple(take(packed, [0], epoch).ids[0].tolist()) for epoch in range(100)}
    assert seen == {tuple(endless[i : i + 8]) for i in range(8)}


def test_rows_for_gpt_have_an_end_of_text_between_documents_and_nothing_else(tmp_path: Path):
    corpus = numbered(np.random.default_rng(3), 20, 3, 8)
    packed = PackedRows(write(tmp_path / "train", corpus), 10, 0, between=EOT)
    rows = take(packed, list(range(len(packed)))).ids
    whole = ",".join(map(str, stream(corpus, EOT) * 2))
    assert all(",".join(map(str, row)) in whole for row in rows.tolist())
    assert len(packed) == len(stream(corpus, EOT)) // 10


def test_a_store_shorter_than_a_row_has_no_rows(tmp_path: Path):
    assert len(PackedRows(write(tmp_path / "a", [[[9] * 5]]), 16, 0, between=SEP)) == 0
    assert len(PackedRows(write(tmp_path / "b", []), 16, 0, between=SEP)) == 0


def test_rows_of_ten_million_sentences_take_no_memory_but_their_own(tmp_path: Path):
    prefix = tmp_path / "train"
    writer = SplitWriter(tmp_path / "other", DTYPES[8])
    for _ in range(10):
        writer.add_many(np.empty(0, "<u2"), np.full(10**6, 25, np.int32), np.full(10**5, 10, "<i8"))
    writer.close()
    (tmp_path / "other.idx").rename(prefix.with_suffix(".idx"))
    with prefix.with_suffix(".bin").open("wb") as data:
        data.truncate(2 * 25 * 10**7)
    far = np.linspace(0, 10**6, 32).astype(np.int64)
    tracemalloc.start()
    split = Split(prefix)
    packed = PackedRows(split, 128, 0, first=CLS, between=SEP, last=SEP)
    pairs = SegmentPairs(split, 128, 0, cls=CLS, sep=SEP, pad=PAD)
    rows = [examples.take(far, far % 2, RandomStreams(0, 0)) for examples in (packed, pairs)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [r.ids.shape for r in rows] == [(32, 128)] * 2
    assert peak < 4e6


def test_overlapping_rows_share_their_ends(tmp_path: Path):
    corpus = numbered(np.random.default_rng(0), 40, 5, 7)
    packed = PackedRows(write(tmp_path / "train", corpus), 10, 0, between=EOT, overlap=1)
    assert len(packed) == len(stream(corpus, EOT)) // 9
    rows = take(packed, list(range(len(packed)))).ids
    assert (rows[1:, 0] == rows[:-1, -1]).all()
    whole = ",".join(map(str, stream(corpus, EOT) * 2))
    assert ",".join(map(str, [rows[0, 0], *rows[:, 1:].flatten()])) in whole


# Segment pairs


def pairs_of(
    tmp_path: Path, corpus: list[list[list[int]]], length: int, seed: int = 0, pairs: Pairs = "next"
) -> SegmentPairs:
    return SegmentPairs(write(tmp_path / "train", corpus), length, seed, pairs, cls=CLS, sep=SEP, pad=PAD)


def parts(rows: PackedBatch, i: int) -> tuple[list[int], list[int]]:
    """Segments A and B of row i, after checking what is around them."""
    assert rows.lengths is not None
    assert rows.types is not None
    length = int(rows.lengths[i])
    ids, types = rows.ids[i].tolist(), rows.types[i].tolist()
    assert set(ids[length:]) <= {PAD}
    assert set(types[length:]) <= {0}
    first, second = (j for j, token in enumerate(ids) if token == SEP)
    assert (ids[0], second) == (CLS, length - 1)
    assert types[:length] == [0] * (first + 1) + [1] * (second - first)
    return ids[1:first], ids[first + 1 : second]


def consecutive(tokens: list[int]) -> bool:
    return tokens == list(range(tokens[0], tokens[0] + len(tokens)))


@pytest.fixture
def corpus() -> list[list[list[int]]]:
    return numbered(np.random.default_rng(5), 50, 12, 9)


def owner(corpus: list[list[list[int]]]) -> dict[int, int]:
    return {i: number for number, document in enumerate(corpus) for s in document for i in s}


def test_segments_are_pieces_of_text_and_labels_tell_where_the_second_comes_from(tmp_path: Path, corpus):
    document = owner(corpus)
    examples = pairs_of(tmp_path, corpus, 40)
    for epoch in range(10):
        rows = take(examples, list(range(len(examples))), epoch, seed=epoch)
        assert rows.labels is not None
        for i, label in enumerate(rows.labels.tolist()):
            a, b = parts(rows, i)
            assert a
            assert b
            assert consecutive(a)
            assert consecutive(b)
            same = document[a[0]] == document[b[0]]
            assert same == (label == 0)
            assert document[a[0]] == document[a[-1]]
            assert document[b[0]] == document[b[-1]]


def test_segments_that_are_not_truncated_are_whole_sentences(tmp_path: Path, corpus):
    starts = {s[0] for document in corpus for s in document}
    ends = {s[-1] for document in corpus for s in document}
    examples = pairs_of(tmp_path, corpus, 40)
    rows = take(examples, list(range(len(examples))))
    assert rows.labels is not None
    assert rows.lengths is not None
    whole = 0
    for i in np.flatnonzero(rows.lengths < 40):
        a, b = parts(rows, i)
        whole += 1
        assert {a[0], b[0]} <= starts
        assert {a[-1], b[-1]} <= ends
        if rows.labels[i] == 0:
            assert b[0] == a[-1] + 1
    assert whole > 5


def test_a_document_of_one_sentence_always_gets_a_random_second(tmp_path: Path):
    examples = pairs_of(tmp_path, [[[10, 11, 12, 13]], [[20, 21, 22], [23, 24, 25]]], 13)
    labels: dict[bool, set[int]] = {True: set(), False: set()}
    for seed in range(60):
        rows = take(examples, [0], epoch=seed, seed=seed)
        assert rows.labels is not None
        labels[parts(rows, 0)[0][0] < 20].add(int(rows.labels[0]))
    assert labels == {True: {1}, False: {0, 1}}


def test_a_last_and_a_very_long_sentence_get_company(tmp_path: Path):
    document = [[10, 11], list(range(12, 60)), [60, 61]]
    examples = pairs_of(tmp_path, [document, [[70 + i for i in range(30)]] * 2], 13)
    seen = set()
    for seed in range(300):
        rows = take(examples, list(range(len(examples))), epoch=seed, seed=seed)
        assert rows.labels is not None
        for i in np.flatnonzero(rows.labels == 0):
            a, b = parts(rows, i)
            seen.add((a[-1], b[0]))
    long = range(12, 60)  # of which a stretch is kept
    assert any(a == 11 and b in long for a, b in seen)
    assert any(a in long and b == 60 for a, b in seen)


def test_half_of_the_pairs_are_random_whatever_the_length_of_sentences(tmp_path: Path):
    for name, size in (("short", 5), ("long", 150)):
        corpus = [[[10 + i] * size for i in range(200 // size + 1)] for _ in range(60)]
        (tmp_path / name).mkdir()
        examples = pairs_of(tmp_path / name, corpus, 103)
        rows = [take(examples, list(range(len(examples))), epoch, seed=epoch) for epoch in range(30)]
        labels = np.concatenate([r.labels for r in rows if r.labels is not None])
        assert len(labels) == 30 * len(examples) >= 30 * 100
        assert abs(labels.mean() - 0.5) < 0.04


@dataclass
class Draw:
    """What was drawn for one pair."""

    random: bool
    a: int
    """Tokens of the first segment."""
    total: int
    other: int
    """How many documents further the second segment lies."""
    at: int
    """Its first sentence."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Draw]:
    """3,750 pairs of up to 40 tokens from three documents of 5,000 sentences of one token each."""
    base, sentences = 10_000, 5_000
    corpus = [[[base * (1 + d) + i] for i in range(sentences)] for d in range(3)]
    examples = pairs_of(tmp_path_factory.mktemp("drawn"), corpus, 43)
    result = []
    for epoch in range(10):
        rows = take(examples, list(range(len(examples))), epoch, seed=epoch)
        assert rows.labels is not None
        for i, label in enumerate(rows.labels.tolist()):
            a, b = parts(rows, i)
            other = (b[0] // base - a[0] // base) % 3
            result.append(Draw(label == 1, len(a), len(a) + len(b), other, b[0] % base))
    return result


def test_a_pass_in_ten_aims_at_a_shorter_length_and_makes_more_pairs_the_shorter_it_is(drawn: list[Draw]):
    chances = np.array([0.1 / 39 / target for target in range(2, 40)])  # rows of a pass over a token
    share = chances.sum() / (chances.sum() + (0.9 + 0.1 / 39) / 40)
    short = np.array([draw.total for draw in drawn if draw.total < 40])
    assert share == pytest.approx(0.27, abs=0.005)
    assert abs(len(short) / len(drawn) - share) < 0.025
    assert min(short) == 2
    mean = (chances @ np.arange(2, 40)) / chances.sum()
    assert abs(short.mean() - mean) < 1  # random seconds included: they get what the first left


def test_the_first_segment_is_any_part_of_the_chunk_but_never_all(drawn: list[Draw]):
    for random in (False, True):
        firsts = [draw.a for draw in drawn if draw.total == 40 and draw.random == random]
        assert (min(firsts), max(firsts)) == (1, 39)
        assert abs(np.mean(firsts) - 20) < 1.5


def test_a_random_second_begins_anywhere_in_any_other_document(drawn: list[Draw]):
    random = [draw for draw in drawn if draw.random]
    assert {draw.other for draw in random} == {1, 2}
    assert abs(np.mean([draw.other for draw in random]) - 1.5) < 0.06
    quarters = np.histogram([draw.at for draw in random], 4, (0, 5_000))[0] / len(random)
    assert np.abs(quarters - 0.25).max() < 0.05


def test_what_is_too_long_is_taken_from_the_longer_segment():
    def by_the_loop(a: int, b: int, longest: int) -> tuple[int, int]:
        while a + b > longest:
            if a > b:
                a -= 1
            else:
                b -= 1
        return a, b

    for a in range(1, 15):
        for b in range(1, 15):
            for longest in (6, 7, 11):
                kept = fit(np.array([a]), np.array([b]), longest)
                assert (int(kept[0][0]), int(kept[1][0])) == by_the_loop(a, b, longest)


def test_a_long_sentence_is_cut_at_the_front_or_the_back(tmp_path: Path):
    corpus = [[list(range(100, 200)), [10]], [list(range(200, 300)), [11]]]
    examples = pairs_of(tmp_path, corpus, 23)
    segments = [parts(take(examples, [0], epoch, seed=epoch), 0) for epoch in range(80)]
    for side in (0, 1):
        long = [pair[side] for pair in segments if pair[side][0] >= 100 and len(pair[side]) > 1]
        firsts = {segment[0] % 100 for segment in long}
        assert min(firsts) < 20
        assert max(firsts) > 60
    assert all(consecutive(a) for a, _ in segments)


def test_a_pair_is_the_same_whatever_rows_come_with_it(tmp_path: Path, corpus):
    examples = pairs_of(tmp_path, corpus, 40)
    indices, epochs = np.arange(8), np.zeros(8, np.int64)
    together = examples.take(indices, epochs, RandomStreams(0, 5))
    rest = examples.take(indices[3:], epochs[3:], RandomStreams(0, 5, first=3))
    assert rest.ids.tolist() == together.ids[3:].tolist()
    assert rest.labels is not None
    assert together.labels is not None
    assert rest.labels.tolist() == together.labels[3:].tolist()


def test_pairs_need_two_documents(tmp_path: Path):
    with pytest.raises(DataError, match="at least two documents") as caught:
        pairs_of(tmp_path, [[[10, 11], [12]]], 16)
    assert "next_sentence=false" in (caught.value.hint or "")


def test_pairs_need_a_document_of_two_sentences(tmp_path: Path):
    with pytest.raises(DataError, match="two sentences or more"):
        pairs_of(tmp_path, [[[10, 11]], [[12]], [[13]]], 16)


# Sentence order


def lonely(rng: np.random.Generator, documents: int, share: float) -> list[list[list[int]]]:
    """Numbered documents of which about `share` have one sentence, the others two to nine."""
    following, corpus = 10, []
    for _ in range(documents):
        document = []
        for _ in range(1 if rng.random() < share else int(rng.integers(2, 10))):
            size = int(rng.integers(1, 9))
            document.append(list(range(following, following + size)))
            following += size
        corpus.append(document)
    return corpus


def test_order_is_told_of_segments_that_follow_each_other(tmp_path: Path, corpus):
    document = owner(corpus)
    starts = {s[0] for text in corpus for s in text}
    examples = pairs_of(tmp_path, corpus, 40, pairs="order")
    labels, adjacent = [], 0
    for epoch in range(20):
        rows = take(examples, list(range(len(examples))), epoch, seed=epoch)
        assert rows.labels is not None
        for i, label in enumerate(rows.labels.tolist()):
            first, second = parts(rows, i) if label == 0 else reversed(parts(rows, i))
            assert consecutive(first)
            assert consecutive(second)
            assert document[first[0]] == document[second[-1]]
            assert first[-1] < second[0]
            adjacent += second[0] == first[-1] + 1 and second[0] in starts
            labels.append(label)
    assert adjacent > 0.6 * len(labels)  # others are cut to the length
    assert abs(np.mean(labels) - 0.5) < 4 * 0.5 / len(labels) ** 0.5


def test_without_a_question_the_segments_of_order_are_as_written(tmp_path: Path, corpus):
    split = write(tmp_path / "train", corpus)
    swapped, kept = (
        take(SegmentPairs(split, 40, 0, pairs, cls=CLS, sep=SEP, pad=PAD), list(range(20)))
        for pairs in ("order", "none")
    )
    assert swapped.labels is not None
    assert kept.labels is not None
    assert set(kept.labels.tolist()) == {0}
    assert set(swapped.labels.tolist()) == {0, 1}
    for i, label in enumerate(swapped.labels.tolist()):
        a, b = parts(swapped, i)
        first, second = parts(kept, i)
        assert first[-1] < second[0]
        if label == 0:
            assert (a, b) == (first, second)
        else:
            assert document_ends(a, b) == document_ends(second, first)


def document_ends(a: list[int], b: list[int]) -> tuple[bool, int]:
    """Which comes first, and how many tokens there are: where one is cut differs between front and back."""
    return a[0] < b[0], len(a) + len(b)


@pytest.mark.parametrize("pairs", ["order", "none"])
def test_two_segments_of_a_document_need_no_second_document(tmp_path: Path, pairs: Pairs):
    examples = pairs_of(tmp_path, [[[10, 11], [12], [13, 14]]], 8, pairs=pairs)
    first, second = sorted(parts(take(examples, [0]), 0))
    assert consecutive(first + second)


def test_documents_of_one_sentence_are_passed_over_and_counted(tmp_path: Path):
    corpus = lonely(np.random.default_rng(3), 400, 0.6)
    single = {i for text in corpus if len(text) == 1 for i in text[0]}
    examples = pairs_of(tmp_path, corpus, 24, pairs="order")
    for epoch in range(5):
        rows = take(examples, list(range(len(examples))), epoch, seed=epoch)
        assert single.isdisjoint(rows.ids.ravel().tolist())
    assert examples.documents_without_pair() == sum(len(text) == 1 for text in corpus) > 200
    assert pairs_of(tmp_path, corpus, 24, pairs="next").documents_without_pair() == 0


def test_a_long_run_of_documents_of_one_sentence_is_passed_over_too(tmp_path: Path):
    corpus = [[[10 + n % 50] * 5] for n in range(1000)] + [[[100, 101], [102, 103]]]
    examples = pairs_of(tmp_path, corpus, 9, pairs="order")
    rows = take(examples, list(range(0, len(examples), 40)))
    for i in range(len(rows)):
        assert sorted(id_ for segment in parts(rows, i) for id_ in segment) == [100, 101, 102, 103]


def test_a_place_that_replaces_one_passed_over_is_any_in_its_document(tmp_path: Path):
    long = [[100 + i] for i in range(1000)]
    examples = pairs_of(tmp_path, [[[10] * 3000], long], 13, pairs="none")
    firsts = []
    for epoch in range(4):
        rows = take(examples, list(range(len(examples))), epoch, seed=epoch)
        firsts += [parts(rows, i)[0][0] for i in range(len(rows))]
    assert len(firsts) > 1000
    quarters = np.histogram(firsts, 4, (100, 1100))[0] / len(firsts)
    assert np.abs(quarters - 0.25).max() < 4 * (0.25 * 0.75 / len(firsts)) ** 0.5


def test_a_swapped_pair_is_the_same_whatever_rows_come_with_it(tmp_path: Path):
    examples = pairs_of(tmp_path, lonely(np.random.default_rng(4), 80, 0.5), 24, pairs="order")
    indices, epochs = np.arange(8), np.zeros(8, np.int64)
    together = examples.take(indices, epochs, RandomStreams(0, 5))
    rest = examples.take(indices[3:], epochs[3:], RandomStreams(0, 5, first=3))
    assert rest.ids.tolist() == together.ids[3:].tolist()


def test_order_needs_a_document_of_two_sentences(tmp_path: Path):
    with pytest.raises(DataError, match="two sentences or more"):
        pairs_of(tmp_path, [[[10, 11]], [[12]]], 16, pairs="order")
