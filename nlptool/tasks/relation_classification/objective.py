"""Relation classification (Zhang et al. 2019, section 4.4), from the first token of a marked text."""

# B rows, N rows of a split, C relations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import classification, relation_extraction
from nlptool.models import heads
from nlptool.models.config import ModelConfig
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import LabelledDataset, Numbers
from nlptool.tasks.marked_objective import MarkedTextObjective

if TYPE_CHECKING:
    from nlptool.tasks.relation_classification.config import Config


class RelationClassification(MarkedTextObjective):
    """Pooled first token, dropout, one matrix; the loss is the cross-entropy."""

    config: "Config"
    term = "cross_entropy"
    problem_type = "single_label_classification"
    baseline_name = "majority"

    def _scores(self, decided_N: Numbers, labels_N: Numbers) -> dict[str, float]:
        none = self.config.no_relation
        number = None if none is None else self.config.labels.index(none)
        return relation_extraction.scores(self.config.metrics, decided_N, labels_N, number)

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """The metrics of the task."""
        return self._scores(self.decide(logits)[:, 0], rows.labels[:, 0])

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """The metrics of the most frequent class."""
        known = classification.baseline(train.labels[:, 0], classes=True)
        labels_N = rows.labels[:, 0]
        return self._scores(np.full_like(labels_N, known), labels_N)

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction`, `scores`, the relations' probabilities, and `label`."""
        names = self.config.labels
        return sequence_heads.answers(rows, logits, self.decide(logits), lambda one: names[int(one)], names)


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> RelationClassification:
    """An encoder with the head of its family."""
    encoder_config, encoder, pooler = sequence_heads.build_parts(model, vocabulary)
    classifier = heads.Classifier.of(encoder_config, len(config.labels), dropout)
    return RelationClassification(config, vocabulary, encoder, classifier, pooler)
