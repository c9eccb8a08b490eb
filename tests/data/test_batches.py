from collections.abc import Sequence

import numpy as np
import pytest
import torch

from nlptool.data.batches import Batch, Batches, PrefetchingLoader, RepeatedEpochs, Stage
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError


class Numbers:
    """Example i of an epoch is the pair (epoch, i)."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def take(self, indices: np.ndarray, epochs: np.ndarray, draws: RandomStreams) -> list[tuple[int, int]]:
        return list(zip(epochs.tolist(), indices.tolist(), strict=True))


class Ordered(Numbers):
    """Examples whose numbers are in an order of their own."""

    def places(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return positions * 0, positions


def collate(examples: Sequence[tuple[int, int]], draws: RandomStreams) -> Batch:
    chance = torch.from_numpy(draws.uniform(0, len(examples), 1))
    return Batch({"pairs": torch.tensor(examples), "chance": chance}, {"n": len(examples)}, len(examples))


def rows(batches: Batches, n: int) -> list[tuple]:
    parts = batches.get(n)
    return [
        (*pair, chance)
        for b in parts
        for pair, (chance,) in zip(b["pairs"].tolist(), b["chance"].tolist(), strict=True)
    ]


def test_rows_do_not_depend_on_ranks_or_micro_batches():
    stages = [Stage(0, 8, Numbers(21))]
    whole = [rows(Batches(stages, collate, seed=1), n) for n in range(6)]
    for world, accumulate in ((1, 2), (2, 1), (2, 2), (4, 2)):
        for n in range(6):
            cut = [
                row
                for rank in range(world)
                for row in rows(
                    Batches(stages, collate, seed=1, rank=rank, world=world, accumulate=accumulate), n
                )
            ]
            assert cut == whole[n]


def test_each_epoch_holds_every_example_once_in_another_order():
    batches = Batches([Stage(0, 7, Numbers(21))], collate, seed=1)
    seen = [row[:2] for n in range(6) for row in rows(batches, n)]
    first, second = seen[:21], seen[21:]
    assert sorted(first) == [(0, i) for i in range(21)]
    assert sorted(second) == [(1, i) for i in range(21)]
    assert [i for _, i in first] != [i for _, i in second]


def test_a_later_stage_has_its_own_batch_and_examples():
    batches = Batches([Stage(0, 4, Numbers(8)), Stage(3, 2, Numbers(1000))], collate, seed=1)
    assert [len(rows(batches, n)) for n in range(5)] == [4, 4, 4, 2, 2]
    assert max(i for _, i, _ in rows(batches, 3)) > 8


def test_a_later_stage_begins_its_first_epoch_with_its_first_example():
    stages = [Stage(0, 4, Numbers(8)), Stage(3, 2, Ordered(5))]
    batches = Batches(stages, collate, seed=1)
    assert [row[:2] for n in (3, 4, 5) for row in rows(batches, n)] == [
        (0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0),
    ]  # fmt: skip


def test_examples_in_an_order_of_their_own_come_in_it():
    batches = Batches([Stage(0, 4, Ordered(8))], collate, seed=1)
    assert [i for n in range(2) for _, i, _ in rows(batches, n)] == list(range(8))


def test_no_example_is_an_error_with_a_remedy():
    with pytest.raises(DataError, match="no example of this length") as caught:
        Batches([Stage(0, 4, Numbers(0))], collate, seed=1)
    assert "train.sequence_length" in (caught.value.hint or "")


@pytest.mark.parametrize("size", [1, 2, 11, 64])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_every_row_of_a_step_goes_to_one_rank_whatever_their_number(size: int, world: int):
    alone = Batches([Stage(0, size, Numbers(70))], collate, seed=1)
    ranks = [
        Batches([Stage(0, size, Numbers(70))], collate, seed=1, rank=r, world=world) for r in range(world)
    ]
    assert [row for one in ranks for row in rows(one, 1)] == rows(alone, 1)


def test_batches_made_ahead_are_the_same_in_any_order():
    plain = Batches([Stage(0, 4, Numbers(50))], collate, seed=1)
    ahead = PrefetchingLoader(plain)
    for n in (0, 1, 2, 7, 3, 4):
        assert [b["pairs"].tolist() for b in ahead.get(n)] == [b["pairs"].tolist() for b in plain.get(n)]
    ahead.close()


def test_what_fails_in_the_thread_is_raised_by_the_step_that_needs_it():
    class Fails(Batches):
        def get(self, n: int) -> list[Batch]:
            if n == 1:
                raise DataError("broken row")
            return super().get(n)

    ahead = PrefetchingLoader(Fails([Stage(0, 4, Numbers(50))], collate, seed=1))
    ahead.get(0)
    with pytest.raises(DataError, match="broken row"):
        ahead.get(1)
    ahead.close()


def test_an_epoch_again_is_the_same_batches_in_another_order():
    class Counting:
        def get(self, n: int) -> list[int]:
            return [n]

    again = RepeatedEpochs(Counting(), 5, seed=3)
    epochs = [[again.get(epoch * 5 + n)[0] for n in range(5)] for epoch in range(4)]
    assert epochs[0] == [0, 1, 2, 3, 4]
    assert all(sorted(epoch) == epochs[0] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 2
