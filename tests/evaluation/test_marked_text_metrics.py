"""Metrics of relations and of types, on cases worked out by hand."""

import numpy as np
import pytest

from nlptool.evaluation.metrics import entity_typing, relation_extraction


def test_micro_metrics_leave_out_no_relation():
    labels = np.array([0, 0, 1, 1, 2, 2.0])
    said = np.array([0, 1, 1, 0, 2, 1.0])
    found = relation_extraction.scores(relation_extraction.METRICS, said, labels, 0)
    # 4 of the rows are said to have a relation, 4 have one, 2 are right: rows 2 and 4.
    assert found["micro_precision"] == 2 / 4
    assert found["micro_recall"] == 2 / 4
    assert found["micro_f1"] == 0.5
    assert found["accuracy"] == 3 / 6
    # Relation 1: 1 of 3 said, 1 of 2 there; relation 2: 1 of 1, 1 of 2.
    assert found["macro_precision"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["macro_recall"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 / 5 + 2 / 3) / 2)


def test_without_a_class_that_is_no_relation_micro_f1_is_accuracy():
    found = relation_extraction.scores(
        ("micro_f1", "accuracy"), np.array([0, 1, 1.0]), np.array([0, 1, 0.0]), None
    )
    assert found["micro_f1"] == pytest.approx(2 / 3) == found["accuracy"]


def test_who_finds_no_relation_has_precision_1_and_f1_0_as_in_score_py():
    names = ("micro_precision", "micro_recall", "micro_f1", "macro_f1")
    found = relation_extraction.scores(names, np.zeros(3), np.array([0, 1, 2.0]), 0)
    assert found == {"micro_precision": 1, "micro_recall": 0, "micro_f1": 0, "macro_f1": 0}
    assert set(relation_extraction.scores(names, np.zeros(2), np.zeros(2), 0).values()) == {0, 1}


def test_macro_f1_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels, said = rng.integers(0, 5, (2, 60)).astype(float)
    found = relation_extraction.scores(("macro_f1", "micro_f1"), said, labels, 0)
    for mean in ("macro", "micro"):
        expected = sklearn.f1_score(labels, said, labels=[1, 2, 3, 4], average=mean)
        assert found[f"{mean}_f1"] == pytest.approx(expected)


def test_strict_and_loose_metrics_of_three_mentions():
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1]], bool)
    said = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 0]], bool)
    found = entity_typing.scores(entity_typing.METRICS, said, labels)
    assert found["strict_accuracy"] == pytest.approx(1 / 3)
    # Right 2, 1, 0 of 2, 3, 0 said and of 2, 1, 2 there. Nothing said counts 0, and its mention still counts.
    assert found["loose_macro_precision"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found["loose_macro_recall"] == pytest.approx((1 + 1 + 0) / 3)
    p, r = 4 / 9, 2 / 3
    assert found["loose_macro_f1"] == pytest.approx(2 * p * r / (p + r))
    assert found["loose_micro_precision"] == pytest.approx(3 / 5)
    assert found["loose_micro_recall"] == pytest.approx(3 / 5)
    assert found["loose_micro_f1"] == pytest.approx(3 / 5)
    nothing = entity_typing.scores(entity_typing.METRICS, np.zeros((2, 3), bool), labels[:2])
    assert set(nothing.values()) == {0}
