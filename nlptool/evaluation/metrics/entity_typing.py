"""Metrics of entity typing on sets of types (Ling and Weld 2012, section 4.2). Nothing heavy at import."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nlptool.evaluation.metrics.aggregates import precision_recall_f1

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sets = NDArray[np.bool_]

LOOSE = tuple(f"loose_{mean}_{what}" for mean in ("micro", "macro") for what in ("f1", "precision", "recall"))
METRICS = ("strict_accuracy", *LOOSE)


def scores(names: Sequence[str], predicted: "Sets", labels: "Sets") -> dict[str, float]:
    """Metrics of the predicted types [N, C] against the true ones [N, C].

    strict_accuracy: the share of mentions whose sets are equal. Loose macro precision: the mean over mentions of the
    share of predicted types that are right, 0 where none is predicted; recall likewise over the true types. Loose
    micro: the same over the types of all mentions. F1 is their harmonic mean.
    """
    right_N, guessed_N, there_N = ((predicted & labels).sum(1), predicted.sum(1), labels.sum(1))
    rows = len(labels)
    found = {"strict_accuracy": float((predicted == labels).all(1).mean())}
    found |= precision_recall_f1(
        "loose_macro",
        float((right_N / guessed_N.clip(min=1)).sum()) / rows,
        float((right_N / there_N.clip(min=1)).sum()) / rows,
    )
    right, guessed, there = (int(n.sum()) for n in (right_N, guessed_N, there_N))
    found |= precision_recall_f1("loose_micro", right / max(guessed, 1), right / max(there, 1))
    return {name: found[name] for name in names}
