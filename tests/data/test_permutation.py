import numpy as np
import pytest

from nlptool.data.random_streams import permuted


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65, 1000, 4097])
def test_every_index_appears_once(size: int):
    assert sorted(permuted(np.arange(size), size, seed=1, epoch=0)) == list(range(size))


def test_any_part_can_be_computed_alone():
    whole = permuted(np.arange(1000), 1000, 5, 2)
    assert np.array_equal(whole[[999, 3, 500]], permuted(np.array([999, 3, 500]), 1000, 5, 2))


def test_seed_and_epoch_each_give_another_order():
    orders = [permuted(np.arange(500), 500, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all((a == b).mean() < 0.02 for a, b in ((orders[0], orders[1]), (orders[0], orders[2])))


def test_neighbours_are_torn_apart():
    order = permuted(np.arange(100_000), 100_000, 0, 0)
    steps = np.abs(np.diff(order))
    assert abs(steps.mean() / 100_000 - 1 / 3) < 0.01  # the mean distance of two random points
    assert abs(np.corrcoef(order, np.arange(100_000))[0, 1]) < 0.01


def test_a_size_beyond_memory_costs_nothing():
    order = permuted(np.arange(32) + 10**14, 3 * 10**14, 0, 0)
    assert len(set(order.tolist())) == 32
    assert order.min() >= 0
    assert order.max() < 3 * 10**14
