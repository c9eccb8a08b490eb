import numpy as np

from nlptool.data.random_streams import RandomStreams


def test_a_row_draws_the_same_whoever_computes_it():
    whole = RandomStreams(7, 3).uniform(0, 8, 10)
    parts = [RandomStreams(7, 3, first).uniform(0, 2, 10) for first in (0, 2, 4, 6)]
    assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(whole[5:], RandomStreams(7, 3).at(5).uniform(0, 3, 10))


def test_seed_step_and_stream_each_give_other_numbers():
    one = RandomStreams(7, 3).uniform(0, 4, 8)
    others = [
        RandomStreams(8, 3).uniform(0, 4, 8),
        RandomStreams(7, 4).uniform(0, 4, 8),
        RandomStreams(7, 3).uniform(1, 4, 8),
    ]
    assert all(not np.isclose(one, other).any() for other in others)


def test_numbers_are_uniform():
    numbers = RandomStreams(0, 0).uniform(0, 1000, 101).ravel()
    assert abs(numbers.mean() - 0.5) < 0.005
    assert np.histogram(numbers, 10, (0, 1))[0].min() > 9_600
    assert numbers.min() >= 0
    assert numbers.max() < 1
