"""Rows of several stores: exact shares, each store's epochs, and the same rows for any number of micro-batches."""

from pathlib import Path

import numpy as np
import pytest
from test_batches import Numbers

from nlptool.data.batches import Batch, Batches, Stage
from nlptool.data.mixture import BLOCK, Mixture, quotas
from nlptool.data.pretraining_examples import PackedBatch, PackedRows, SegmentPairs
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import UsageError
from nlptool.text.store import DTYPES, Split, SplitWriter


def split(prefix: Path, first: int, documents: int) -> Split:
    """Documents of four sentences of six tokens, numbered from `first` on."""
    writer = SplitWriter(prefix, DTYPES[8])
    for at in range(documents):
        writer.add(np.arange(first + 24 * at, first + 24 * (at + 1)), np.full(4, 6, np.int32))
    writer.close()
    return Split(prefix)


@pytest.fixture
def splits(tmp_path: Path) -> list[Split]:
    return [split(tmp_path / "a", 100, 40), split(tmp_path / "b", 2000, 10)]


def test_a_block_has_exactly_each_stores_share():
    mixture = Mixture([Numbers(5), Numbers(7), Numbers(9)], [60, 22, 18], seed=1)
    store, _ = mixture.places(np.arange(3 * BLOCK))
    assert sum(mixture.quotas) == BLOCK
    for block in np.split(store, 3):
        assert np.bincount(block).tolist() == mixture.quotas
    assert mixture.shares == pytest.approx([0.6, 0.22, 0.18], abs=1 / BLOCK)
    first = np.bincount(store[:1000]) / 1000
    assert first == pytest.approx([0.6, 0.22, 0.18], abs=0.05)


def test_a_stores_rows_are_numbered_on_without_a_gap_over_blocks():
    mixture = Mixture([Numbers(5), Numbers(7)], [3, 1], seed=0)
    store, number = mixture.places(np.arange(2 * BLOCK))
    for at, quota in enumerate(mixture.quotas):
        assert sorted(number[store == at].tolist()) == list(range(2 * quota))


@pytest.mark.parametrize(
    ("weights", "found"), [([1], [BLOCK]), ([1, 1, 1], [21846, 21845, 21845]), ([9, 3], [49152, 16384])]
)
def test_quotas_add_up(weights: list[float], found: list[int]):
    assert quotas(weights) == found


def test_a_weight_of_less_than_a_row_is_refused():
    with pytest.raises(UsageError, match=r"store\.1\.weight: 1 of 100,?0*1 in all|store\.1\.weight"):
        quotas([10**6, 1])


def test_every_row_of_a_store_comes_once_in_each_of_its_epochs(splits: list[Split]):
    parts = [PackedRows(one, 12, 0, between=3) for one in splits]
    mixture = Mixture(parts, [1, 1], seed=5)
    count = 8 * len(parts[1])
    positions = np.arange(count)
    store, number = mixture.places(positions)
    taken = mixture.take(positions, positions * 0, RandomStreams(0, 0))
    assert isinstance(taken, PackedBatch)
    assert taken.lengths is None
    for at, (part, first) in enumerate(zip(parts, (100, 2000), strict=True)):
        assert all(((row == 3) | (row >= first)).all() for row in taken.ids[store == at])
        assert number[store == at].tolist() == list(range((store == at).sum()))
        for epoch in range((store == at).sum() // len(part)):
            chosen = (store == at) & (number // len(part) == epoch)
            own = part.take(np.arange(len(part)), np.full(len(part), epoch), RandomStreams(0, 0)).ids
            assert sorted(map(tuple, taken.ids[chosen])) == sorted(map(tuple, own))
            assert taken.ids[chosen].tolist() != own.tolist()
    assert (store == 1).sum() > 2 * len(parts[1])


def test_each_row_is_what_its_store_gives_at_its_place_in_the_step(splits: list[Split]):
    parts = [SegmentPairs(one, 24, 0, cls=1, sep=2, pad=0) for one in splits]
    mixture = Mixture(parts, [2, 1], seed=3)
    positions = np.arange(40)
    store, _ = mixture.places(positions)
    draws = RandomStreams(9, 4, first=8)
    whole = mixture.take(positions, positions * 0, draws)
    assert set(store.tolist()) == {0, 1}
    assert whole.labels is not None
    assert whole.lengths is not None
    for row in range(0, 40, 3):
        alone = mixture.take(positions[[row]], positions[[row]] * 0, draws.at(row))
        assert np.array_equal(alone.ids[0], whole.ids[row])
        assert (alone.lengths[0], alone.labels[0]) == (whole.lengths[row], whole.labels[row])  # type: ignore[index]


def test_a_step_is_the_same_in_any_number_of_parts(splits: list[Split]):
    import torch

    parts = [PackedRows(one, 12, 0, between=3) for one in splits]

    def collate(examples: PackedBatch, draws: RandomStreams) -> Batch:
        return Batch({"ids": torch.from_numpy(examples.ids)}, {"n": len(examples)}, examples.tokens)

    def rows(n: int, world: int, accumulate: int) -> list[list[int]]:
        stages = [Stage(0, 8, Mixture(parts, [3, 1], seed=2))]
        return [
            row
            for rank in range(world)
            for batch in Batches(stages, collate, seed=2, rank=rank, world=world, accumulate=accumulate).get(
                n
            )
            for row in batch["ids"].tolist()
        ]

    for n in (0, 5, 10**9):
        assert rows(n, 1, 1) == rows(n, 2, 1) == rows(n, 2, 2) == rows(n, 4, 2)
    assert rows(0, 1, 1) != rows(1, 1, 1)


def test_rows_that_do_not_follow_each_other_draw_what_they_draw_in_a_row():
    draws = RandomStreams(1, 2, 3)
    rows = np.array([0, 4, 5])
    assert np.array_equal(draws.of(rows).uniform(16, 3, 5), draws.uniform(16, 6, 5)[rows])
    assert np.array_equal(draws.of(rows).at(1).uniform(16, 2, 5), draws.uniform(16, 6, 5)[[4, 5]])
