import numpy as np
import pytest

from nlptool.errors import UsageError
from nlptool.evaluation.metrics import classification, generated_text

LABELS = np.array([1.0, 1, 0, 0, 0, 1])
DECIDED = np.array([1.0, 0, 0, 0, 1, 1])


def test_metrics_of_two_classes_by_hand():
    """True positives 2, false positives 1, false negatives 1, true negatives 2."""
    found = classification.scores(("accuracy", "f1", "macro_f1", "matthews"), DECIDED, LABELS)
    matthews = (2 * 2 - 1 * 1) / (3 * 3 * 3 * 3) ** 0.5
    assert found == pytest.approx({"accuracy": 4 / 6, "f1": 2 / 3, "macro_f1": 2 / 3, "matthews": matthews})


def test_macro_f1_gives_each_class_the_same_weight():
    decided, labels = np.array([0.0, 0, 0, 0]), np.array([0.0, 0, 1, 2])
    assert classification.macro_f1(decided, labels) == pytest.approx((2 / 3 + 0 + 0) / 3)


def test_correlations_by_hand():
    """y = x^3 keeps the order: Spearman 1; Pearson of (-2..2) is 34 / sqrt(10 * 130)."""
    x = np.arange(-2.0, 3)
    assert classification.spearman(x**3, x) == pytest.approx(1.0)
    assert classification.pearson(x**3, x) == pytest.approx(34 / (10 * 130) ** 0.5)
    assert classification.spearman(-x, x) == pytest.approx(-1.0)


@pytest.mark.parametrize("name", ["pearson", "spearman", "matthews", "f1"])
def test_a_constant_prediction_scores_nothing(name: str):
    assert classification.scores((name,), np.zeros(6), LABELS) == {name: 0.0}


def test_a_model_that_has_diverged_scores_nothing():
    assert classification.scores(("pearson",), np.full(6, np.nan), LABELS) == {"pearson": 0.0}


def test_the_baseline_is_the_most_frequent_class_or_the_mean():
    assert classification.baseline(np.array([2.0, 1, 2, 0]), classes=True) == 2.0
    assert classification.baseline(np.array([1.0, 0]), classes=True) == 0.0
    assert classification.baseline(np.array([1.0, 4.0]), classes=False) == 2.5


def test_spread_is_the_sample_standard_deviation():
    assert classification.spread([1.0, 2.0, 3.0]) == (2.0, 1.0)
    assert classification.spread([5.0]) == (5.0, 0.0)


@pytest.mark.parametrize("seed", range(8))
def test_figures_are_those_of_scikit_learn_and_scipy(seed: int):
    """With equal values among the numbers, classes of unlike sizes, and one that is never said."""
    metrics, stats = pytest.importorskip("sklearn.metrics"), pytest.importorskip("scipy.stats")
    random = np.random.default_rng(seed)
    classes = 2 + seed % 3
    labels = random.integers(0, classes, 50).astype(float)
    decided = np.where(random.random(50) < 0.5, labels, random.integers(0, max(classes - 1, 1), 50))
    assert classification.matthews(decided, labels) == pytest.approx(
        metrics.matthews_corrcoef(labels, decided), abs=1e-12
    )
    two, known = (decided > 0).astype(float), (labels > 0).astype(float)
    assert classification.f1(two, known) == pytest.approx(metrics.f1_score(known, two), abs=1e-12)
    x = random.integers(0, 9, 50) * 10.0 ** random.integers(-200, 200)
    y = np.round(x / x.max() * 5 + random.normal(size=50), seed % 2)
    assert classification.pearson(x, y) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)
    assert classification.spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)


def test_a_missing_package_is_told_before_a_model_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generated_text, "find_spec", lambda name: None)
    generated_text.require_packages(("accuracy", "macro_f1", "f1", "matthews", "spearman"))
    with pytest.raises(UsageError, match="bleu: sacrebleu is not installed") as told:
        generated_text.require_packages(("accuracy", "bleu"))
    assert told.value.hint is not None
    assert "sacrebleu" in told.value.hint
