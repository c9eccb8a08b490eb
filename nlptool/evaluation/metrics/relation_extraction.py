"""Metrics of relation extraction. Nothing heavy at import.

Micro figures are those of TACRED's score.py (Zhang et al. 2017) and of KLUE-RE (Park et al. 2021): over all rows,
with `no_relation` as the negative class.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nlptool.evaluation.metrics.aggregates import precision_recall_f1

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

METRICS = (
    "micro_f1",
    "micro_precision",
    "micro_recall",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "accuracy",
)


def scores(
    names: Sequence[str], predictions: "Numbers", labels: "Numbers", none: int | None
) -> dict[str, float]:
    """Metrics of the predictions [N] against the labels [N]. none: the negative class, if any.

    Precision is 1 where no relation is predicted, as in score.py, and recall 0 where there is none. Macro figures
    are means over the relations that labels or predictions have: macro F1 of the relations' F1, as in scikit-learn.
    accuracy counts every row.
    """
    found = {"accuracy": float((predictions == labels).mean())}
    right = int(((predictions == labels) & (labels != none)).sum())
    guessed, there = int((predictions != none).sum()), int((labels != none).sum())
    found |= precision_recall_f1(
        "micro", right / guessed if guessed else 1.0, right / there if there else 0.0
    )
    each = [
        (
            int(((predictions == one) & (labels == one)).sum()),
            int((predictions == one).sum()),
            int((labels == one).sum()),
        )
        for one in sorted({*predictions.tolist(), *labels.tolist()} - {none})
    ]
    found["macro_precision"] = _mean([r / g if g else 0.0 for r, g, _ in each])
    found["macro_recall"] = _mean([r / t if t else 0.0 for r, _, t in each])
    found["macro_f1"] = _mean([2 * r / (g + t) for r, g, t in each])
    return {name: found[name] for name in names}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
