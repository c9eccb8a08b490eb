"""Metrics of multi-label classification, as in scikit-learn. Nothing heavy at import."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sets = NDArray[np.bool_]

METRICS = ("micro_f1", "macro_f1", "subset_accuracy")

# N rows, C labels


def scores(names: Sequence[str], predicted: "Sets", labels: "Sets") -> dict[str, float]:
    """Metrics of the predicted labels [N, C] against the true ones [N, C].

    micro_f1: F1 over all decisions. macro_f1: the mean F1 over the labels; 0 for a label that is neither true nor
    predicted in any row, as in scikit-learn. subset_accuracy: the share of rows whose labels are all right.
    """
    right_C = (predicted & labels).sum(0)
    either_C = predicted.sum(0) + labels.sum(0)  # 2 TP + FP + FN
    found = {
        "micro_f1": 2 * int(right_C.sum()) / max(int(either_C.sum()), 1),
        "macro_f1": float((2 * right_C / either_C.clip(min=1)).mean()),
        "subset_accuracy": float((predicted == labels).all(1).mean()),
    }
    return {name: found[name] for name in names}
