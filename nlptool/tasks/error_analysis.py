"""Errors of a fine-tuned model: its confusion matrix, and its most confident errors."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.cells import cell_len

from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective

WIDEST = 48
"""letters of all names that fit beside the labels into 80 columns"""
EXAMPLES = 10
"""Number of errors shown."""
PAIRS = 12
"""Confusions listed, and classes of a matrix shown in a terminal."""


class ConfusionMatrix(NamedTuple):
    """Counts of predictions for each label."""

    classes: tuple[str, ...]
    counts: list[list[int]]
    """[label][prediction]."""

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows: labels downward, predictions to the right, numbered where their names are long.

        With many classes, a list of the most frequent confusions.
        """
        if len(self.classes) <= PAIRS:
            wide = sum(cell_len(name) + 2 for name in self.classes) > WIDEST
            numbers = [str(number) for number in range(1, len(self.classes) + 1)]
            rows = [
                [f"{number} {name}" if wide else name, *(f"{count:,}" for count in row)]
                for number, name, row in zip(numbers, self.classes, self.counts, strict=True)
            ]
            return ["label \\ prediction", *(numbers if wide else self.classes)], rows
        mixed = [
            (count, label, prediction)
            for label, row in zip(self.classes, self.counts, strict=True)
            for prediction, count in zip(self.classes, row, strict=True)
            if count and label != prediction
        ]
        mixed.sort(key=lambda one: -one[0])
        rows = [[label, prediction, f"{count:,}"] for count, label, prediction in mixed[:PAIRS]]
        return ["label", "prediction", "times"], rows


def confusion_matrix(
    objective: TaskObjective, rows: LabelledDataset, logits: Numbers
) -> ConfusionMatrix | None:
    """The matrix over all decisions; None without named classes."""
    names = objective.class_names
    if not names:
        return None
    predicted, right = objective.decide(logits)[:, 0].astype(int), rows.labels[:, 0].astype(int)
    counts = np.bincount(right * len(names) + predicted, minlength=len(names) ** 2)
    return ConfusionMatrix(names, counts.reshape(len(names), len(names)).tolist())


def confident_errors(answers: Iterable[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """The wrong answers of highest confidence, with their row numbers; for numbers, those farthest off.

    None for answers without probabilities, such as spans, which may be right in several ways.
    """
    found: list[tuple[float, int, dict[str, Any]]] = []
    for row, answer in enumerate(answers):
        weight = _confidence(answer) if answer.get("prediction") != answer.get("label") else None
        if weight is not None:
            found.append((-weight, row, answer))
    found.sort(key=lambda one: one[:2])
    return [(row, answer) for _, row, answer in found[:EXAMPLES]]


def _confidence(answer: dict[str, Any]) -> float | None:
    if isinstance(scores := answer.get("scores"), dict):
        return float(max(scores.values()))
    prediction, label = answer.get("prediction"), answer.get("label")
    if isinstance(prediction, float) and isinstance(label, float):
        return abs(prediction - label)
    return None


def error_table(
    errors: Sequence[tuple[int, dict[str, Any]]], texts: dict[int, str]
) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table. texts: the model's inputs, by row number."""
    columns = ["row", "label", "prediction", "confidence", "text"]
    rows = []
    for row, answer in errors:
        scores = answer.get("scores")
        sure = f"{max(scores.values()):.4f}" if isinstance(scores, dict) else ""
        label, prediction = (_shown(answer[key]) for key in ("label", "prediction"))
        rows.append([f"{row:,}", label, prediction, sure, texts.get(row, "")])
    if not any(cells[3] for cells in rows):
        return [name for name in columns if name != "confidence"], [[*r[:3], r[4]] for r in rows]
    return columns, rows


def _shown(value: Any) -> str:
    if isinstance(value, list):  # a set of labels
        return ", ".join(map(str, value)) or "none"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
