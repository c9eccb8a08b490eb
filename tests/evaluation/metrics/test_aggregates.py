"""Scores and standard errors, against values by hand and scikit-learn."""

import math
import random

import pytest

from nlptool.evaluation.metrics.aggregates import macro_f1, mean, perplexity


def test_the_error_of_a_share_is_that_of_a_mean():
    """3 of 4: variance 1/4 with n - 1, over 4 rows."""
    figure = mean([1, 1, 1, 0])
    assert figure.value == 0.75
    assert figure.error == pytest.approx(math.sqrt(0.25 / 4))


def test_one_row_has_no_error():
    assert mean([1.0]) == (1.0, None)
    assert macro_f1([(0, 0)]) == (1.0, None)


def test_perplexity_is_of_the_mean_row():
    figure = perplexity([-math.log(2), -math.log(8)])
    assert figure.value == pytest.approx(4)
    assert figure.error == pytest.approx(4 * math.log(4) / 2)
    assert perplexity([-5000.0]) == (math.inf, None)


def test_macro_f1_by_hand():
    """Class 0: 1 of 2 found, nothing else: 2/3; class 1: 2/3 rightly, all found: 4/5; class 2 nowhere."""
    assert macro_f1([(0, 0), (0, 1), (1, 1), (1, 1)]).value == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_macro_f1_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = random.Random(0)
    pairs = [(rng.randrange(3), rng.randrange(3)) for _ in range(80)]
    right, decided = zip(*pairs, strict=True)
    assert macro_f1(pairs).value == pytest.approx(metrics.f1_score(right, decided, average="macro"))


def test_the_jackknife_leaves_each_row_out_in_turn():
    rng = random.Random(1)
    pairs = [(rng.randrange(2), rng.randrange(2)) for _ in range(30)]
    without = [macro_f1(pairs[:i] + pairs[i + 1 :]).value for i in range(30)]
    middle = sum(without) / 30
    assert macro_f1(pairs).error == pytest.approx(
        math.sqrt(29 / 30 * sum((w - middle) ** 2 for w in without))
    )
