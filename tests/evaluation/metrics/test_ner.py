import numpy as np
import pytest

from nlptool.evaluation.metrics.ner import character_macro_f1, entities, entity_f1, entity_macro_f1

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def test_an_entity_begins_and_goes_on():
    tags = ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "I-PER", "I-PER"]
    found = [("PER", 0, 2), ("PER", 2, 3), ("LOC", 4, 5)]
    assert entities(tags, strict=True) == found
    assert entities(tags, strict=False) == [*found, ("PER", 5, 7)]
    assert entities(["I-LOC", "I-LOC"], strict=True) == []
    assert entities([], strict=False) == []


def test_figures_by_hand():
    """Of three entities two are found, and one more that is none: PER 1 of 1 and 2; LOC 1 of 2 and 1."""
    right = [["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "O"]]
    given = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"]]
    assert entity_f1(given, right, LABELS) == pytest.approx(2 * 2 / (3 + 3))
    assert entity_macro_f1(given, right, LABELS) == pytest.approx((2 * 1 / (1 + 2) + 2 * 1 / (2 + 1)) / 2)
    each = [2 * 1 / (2 + 2), 2 * 1 / (1 + 2), 1.0, 2 * 1 / (2 + 1), 1.0]
    assert character_macro_f1(given, right, LABELS) == pytest.approx(sum(each) / 5)


def test_an_entity_counts_only_where_it_begins_and_ends_alike():
    assert entity_f1([["B-PER", "O"]], [["B-PER", "I-PER"]], LABELS) == 0.0
    assert entity_f1([["O"]], [["O"]], LABELS) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_seqeval_and_scikit_learn_say_the_same(seed: int):
    metrics, scheme = pytest.importorskip("seqeval.metrics"), pytest.importorskip("seqeval.scheme")
    rng = np.random.default_rng(seed)
    right, given = (
        [rng.choice(LABELS, size).tolist() for size in np.random.default_rng(seed + 99).integers(1, 12, 15)]
        for _ in range(2)
    )
    assert entity_f1(given, right, LABELS) == pytest.approx(metrics.f1_score(right, given))
    strict = {"mode": "strict", "scheme": scheme.IOB2, "average": "macro"}
    assert entity_macro_f1(given, right, LABELS) == pytest.approx(metrics.f1_score(right, given, **strict))


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_says_the_same_of_tags(seed: int):
    learn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    right, given = rng.choice(LABELS[: -seed or None], (2, 9)).tolist()
    expected = learn.f1_score(right, given, labels=LABELS, average="macro", zero_division=1.0)
    assert character_macro_f1([given], [right], LABELS) == pytest.approx(expected)
