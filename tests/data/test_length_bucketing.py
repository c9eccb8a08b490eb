from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nlptool.data.batches import Batch
from nlptool.data.length_bucketing import LengthBucketedBatches, RoundRobinBatches, SequentialBatches

ROWS = 1000
LENGTHS = np.random.default_rng(0).integers(5, 200, ROWS)


class Rows:
    """Rows whose only token is their number."""

    lengths = LENGTHS

    def __len__(self) -> int:
        return ROWS

    def take(self, indices):
        return SimpleNamespace(rows=indices)


def collate(examples, draws) -> Batch:
    return Batch({"row": torch.from_numpy(examples.rows)}, {"rows": len(examples.rows)}, 0)


def source(batch: int = 8, steps: int = 125, seed: int = 0, **cut: int) -> LengthBucketedBatches:
    return LengthBucketedBatches(Rows(), collate, batch=batch, steps=steps, seed=seed, **cut)


def rows(source: LengthBucketedBatches, n: int) -> list[int]:
    return [row for part in source.get(n) for row in part["row"].tolist()]


@pytest.mark.parametrize("epochs", [1, 3])
def test_an_epoch_holds_every_row_once(epochs: int):
    made = source(steps=125 * epochs)
    seen = [row for n in range(125 * epochs) for row in rows(made, n)]
    assert sorted(seen) == sorted([*range(ROWS)] * epochs)


def test_rows_left_over_are_filled_up_from_the_next_epoch():
    made = source(batch=64, steps=16)
    seen = [row for n in range(16) for row in rows(made, n)]
    assert len(seen) == 1024
    assert set(seen) == set(range(ROWS))


def test_a_batch_is_a_function_of_seed_and_number():
    made = source()
    backwards = {n: rows(made, n) for n in reversed(range(125))}
    assert all(rows(source(), n) == backwards[n] for n in (0, 49, 50, 124))
    assert rows(source(seed=1), 0) != rows(source(), 0)


def test_epochs_come_in_different_orders():
    made = source(steps=250)
    assert [rows(made, n) for n in range(125)] != [rows(made, n) for n in range(125, 250)]


def test_micro_batches_are_of_about_equally_long_rows():
    made = source(batch=40, steps=25, part=800)
    cut = [LENGTHS[part["row"]] for n in range(25) for part in made.get(n)]
    padded = [lengths.max() * len(lengths) for lengths in cut]
    assert max(padded) <= 800
    assert LENGTHS.sum() / sum(padded) > 0.9
    whole = source(batch=40, steps=25)
    assert LENGTHS.sum() / sum(LENGTHS[rows(whole, n)].max() * 40 for n in range(25)) < 0.6


def test_the_rows_of_a_step_are_of_all_lengths():
    """So a label that goes with the length does not sway a step."""
    made = source(batch=40, steps=25)
    means = [LENGTHS[rows(made, n)].mean() for n in range(25)]
    assert np.std(means) == pytest.approx(LENGTHS.std() / 40**0.5, rel=0.4)


def test_parts_are_as_few_and_as_equal_as_they_can_be():
    def sizes(**cut: int) -> list[int]:
        return [len(part["row"]) for part in source(batch=40, **cut).get(0)]

    longest = LENGTHS[rows(source(batch=40), 0)].max()
    assert sizes(part=40 * longest) == [40]
    assert sizes(part=40 * longest - 1) == [20, 20]
    assert sizes(part=20 * longest, accumulate=2) == [20, 20]
    assert sizes(part=1) == [1] * 40


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (2, 1), (1, 4), (2, 2)])
def test_rows_do_not_depend_on_ranks_and_micro_batches(world: int, accumulate: int):
    for n in (0, 60, 124):
        cut = [
            row
            for rank in range(world)
            for row in rows(source(rank=rank, world=world, accumulate=accumulate), n)
        ]
        assert sorted(cut) == sorted(rows(source(), n))


def test_after_the_last_step_there_is_nothing():
    assert source(steps=50).get(50) == []
    assert source(steps=60).get(60) == []


def test_rows_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ValueError, match="8 rows cannot be shared out to 3 x 1"):
        source(world=3)


@pytest.mark.parametrize("world", [1, 3])
@pytest.mark.parametrize("batch", [1, 7, 2000])
def test_evaluation_reads_every_row_once(world: int, batch: int):
    seen = []
    for rank in range(world):
        turn = SequentialBatches(Rows(), collate, batch=batch, rank=rank, world=world)
        seen += [row for n in range(len(turn)) for row in rows(turn, n)]
    assert sorted(seen) == list(range(ROWS))


def test_sets_of_rows_take_turns_and_each_has_its_own_epochs():
    """Of 7 batches, 4 are of the first set and 3 of the second."""
    one, two = source(steps=4), source(steps=3, seed=1)
    rounds = RoundRobinBatches([one, two])
    assert [rows(rounds, n) for n in range(7)] == [rows((one, two)[n % 2], n // 2) for n in range(7)]
    assert rounds.get(7) == rounds.get(8) == []
