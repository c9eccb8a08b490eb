"""Classification and regression metrics of GLUE and SuperGLUE (Wang et al. 2018, 2019). Nothing heavy at import.

They equal those of scikit-learn and scipy, which take two seconds to import.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nlptool.evaluation.metrics import aggregates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

# N rows, C classes


def accuracy(predictions: "Numbers", labels: "Numbers") -> float:
    """The share of rows whose prediction is the label."""
    return float((predictions == labels).mean())


def f1(predictions: "Numbers", labels: "Numbers") -> float:
    """F1 of the second of two classes, as for MRPC and QQP; 0 if it is neither a label nor predicted."""
    either = int((predictions == 1).sum() + (labels == 1).sum())  # 2 TP + FP + FN
    return 2 * int(((predictions == 1) & (labels == 1)).sum()) / either if either else 0.0


def macro_f1(predictions: "Numbers", labels: "Numbers") -> float:
    """The mean F1 over the classes, as for CB."""
    return aggregates.macro_f1(zip(labels.tolist(), predictions.tolist(), strict=True)).value


def matthews(predictions: "Numbers", labels: "Numbers") -> float:
    """Matthews' correlation coefficient, as for CoLA; 0 where all predictions are one class.

    Over any number of classes: Gorodkin 2004, R_K.
    """
    import numpy as np

    classes = np.unique(np.concatenate([predictions, labels]))
    predicted_C = np.array([(predictions == one).sum() for one in classes], float)
    labelled_C = np.array([(labels == one).sum() for one in classes], float)
    rows, right = len(labels), float((predictions == labels).sum())
    both = (rows**2 - predicted_C @ predicted_C) * (rows**2 - labelled_C @ labelled_C)
    return float((right * rows - predicted_C @ labelled_C) / math.sqrt(both)) if both else 0.0


def pearson(predictions: "Numbers", labels: "Numbers") -> float:
    """Pearson's correlation; 0 where either does not vary."""
    if not (_varies(predictions) and _varies(labels)):
        return 0.0
    x, y = _direction(predictions), _direction(labels)
    return min(1.0, max(-1.0, float(x @ y)))


def spearman(predictions: "Numbers", labels: "Numbers") -> float:
    """Spearman's rank correlation, with mean ranks for ties; 0 where either does not vary."""
    return pearson(_ranks(predictions), _ranks(labels))


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

    Non-finite predictions, of a model that has diverged, score 0.
    """
    import numpy as np

    if not np.isfinite(predictions).all():
        return dict.fromkeys(names, 0.0)
    return {name: METRICS[name](predictions, labels) for name in names}


def baseline(labels: "Numbers", *, classes: bool) -> float:
    """The constant prediction from the training labels [N]: the first of the most frequent classes, or their mean."""
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


def _varies(values: "Numbers") -> bool:
    return bool(values.max() > values.min())


def _direction(values: "Numbers") -> "Numbers":
    """The values minus their mean, normalised to length 1."""
    import numpy as np

    around: Numbers = values.astype(np.float64) - values.mean(dtype=np.float64)
    around = around / np.abs(around).max()  # scaled so that squares of very small or large values stay finite
    return around / np.sqrt(around @ around)


def _ranks(values: "Numbers") -> "Numbers":
    """The rank of each value, from 1; mean ranks for ties."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Numbers = (counts.cumsum() - (counts - 1) / 2)[place]
    return ranks
