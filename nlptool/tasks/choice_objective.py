"""The base of objectives that choose among texts: each choice has one logit."""

# B rows, C choices, N rows

from collections.abc import Iterator
from typing import Any

from nlptool.data.batches import Batch
from nlptool.data.row_view import RowView
from nlptool.evaluation.metrics import classification
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective
from nlptool.tasks.choices import ChoiceConfig


class ChoiceObjective(TaskObjective):
    """A softmax over the logits of a row's choices; `predict` gives them, [B, C]."""

    config: ChoiceConfig

    def row_views(self, batch: Batch) -> list[RowView]:
        """A view of each choice."""
        return sequence_heads.choice_views(batch, self.config.labels)

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """Accuracy."""
        return classification.scores(self.config.metrics, self.decide(logits)[:, 0], rows.labels[:, 0])

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """Accuracy of the most frequent position of the right choice."""
        return sequence_heads.baseline(self.config, train, rows, classes=True)

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction`, `scores`, the probabilities of all choices, and `label`."""
        names = self.config.labels
        return sequence_heads.answers(rows, logits, self.decide(logits), lambda one: names[int(one)], names)

    def submitted(self, answer: dict[str, Any]) -> Any:
        """The choice in the form of the benchmark's server."""
        return sequence_heads.submitted(self.config, answer, self.config.labels)

    def submission_files(self, split: str, answers: list[dict[str, Any]]) -> dict[str, str]:
        """The server's file of a test split."""
        return sequence_heads.index_and_prediction(self.config, split, map(self.submitted, answers))
