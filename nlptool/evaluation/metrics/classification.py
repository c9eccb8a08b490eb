"""Metrics of labels, as GLUE and SuperGLUE compute them (Wang et al. 2018, 2019). Nothing heavy at import.

F1 of one class and Matthews' correlation are scikit-learn's, Pearson's and Spearman's correlation scipy's.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nlptool.evaluation.metrics import aggregates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

# N rows


def accuracy(predictions: "Numbers", labels: "Numbers") -> float:
    """The share of rows whose prediction is the label."""
    return float((predictions == labels).mean())


def f1(predictions: "Numbers", labels: "Numbers") -> float:
    """F1 of the second of two classes, as for MRPC and QQP."""
    from sklearn import metrics

    return float(metrics.f1_score(labels, predictions, zero_division=0.0))


def macro_f1(predictions: "Numbers", labels: "Numbers") -> float:
    """The mean F1 over the classes, as for CB."""
    return aggregates.macro_f1(zip(labels.tolist(), predictions.tolist(), strict=True)).value


def matthews(predictions: "Numbers", labels: "Numbers") -> float:
    """Matthews' correlation coefficient, as for CoLA; 0 where all predictions are one class."""
    from sklearn import metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of a single class, for which it is 0
        return float(metrics.matthews_corrcoef(labels, predictions))


def pearson(predictions: "Numbers", labels: "Numbers") -> float:
    """Pearson's correlation; 0 where either does not vary."""
    from scipy import stats

    return float(stats.pearsonr(predictions, labels)[0]) if _both_vary(predictions, labels) else 0.0


def spearman(predictions: "Numbers", labels: "Numbers") -> float:
    """Spearman's rank correlation; 0 where either does not vary."""
    from scipy import stats

    return float(stats.spearmanr(predictions, labels)[0]) if _both_vary(predictions, labels) else 0.0


METRICS: "dict[str, Callable[[Numbers, Numbers], float]]" = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
}


def scores(names: Sequence[str], predictions: "Numbers", labels: "Numbers") -> dict[str, float]:
    """These metrics of the predictions [N] against the labels [N].

    Predictions that are not finite, of a net that has diverged, score 0.
    """
    import numpy as np

    if not np.isfinite(predictions).all():
        return dict.fromkeys(names, 0.0)
    return {name: METRICS[name](predictions, labels) for name in names}


def baseline(labels: "Numbers", *, classes: bool) -> float:
    """The prediction that knows only the training labels [N]: the most frequent class, the first of equal ones; or
    their mean."""
    import numpy as np

    if not classes:
        return float(labels.mean())
    values, counts = np.unique(labels, return_counts=True)
    return float(values[counts.argmax()])


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter is 0 for one value."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, 0.0
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _both_vary(predictions: "Numbers", labels: "Numbers") -> bool:
    return bool(predictions.max() > predictions.min() and labels.max() > labels.min())
