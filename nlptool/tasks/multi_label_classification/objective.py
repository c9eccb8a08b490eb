"""Multi-label classification of a text or a pair, with a logit for each label from the first token."""

# B batch, D width, N rows, C labels

import math
from typing import TYPE_CHECKING

import numpy as np

from nlptool.data.batches import Batch
from nlptool.data.row_view import RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import multi_label
from nlptool.models import heads
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import LabelledDataset, Numbers
from nlptool.tasks.label_sets import LabelSetObjective, Sets, names_of
from nlptool.tasks.text_objective import TextObjective

if TYPE_CHECKING:
    from nlptool.tasks.multi_label_classification.config import Config

TERM = "binary_cross_entropy"


class MultiLabelClassification(LabelSetObjective, TextObjective):
    """A classifier's head with a logit for each label; the loss is the binary cross-entropy, the mean over labels."""

    config: "Config"
    baseline_name = "most frequent label"

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """Notes on labels that no row has, and on missing links."""
        counts_C = rows.labels.sum(0)
        never = [name for name, count in zip(self.config.labels, counts_C, strict=True) if not count]
        warnings = [f"no row has the label {', '.join(never)}"] if never and rows.labelled else []
        return super().data_warnings(rows) + warnings

    def row_views(self, batch: Batch) -> list[RowView]:
        """Each row with its labels."""
        views = super().row_views(batch)
        for view, row, given in zip(views, batch["row"].tolist(), batch["labels"].numpy(), strict=True):
            view.row = row
            view.facts["labels"] = ", ".join(names_of(given, self.config.labels)) or "none"
        return views

    def decide(self, logits: Numbers) -> Numbers:
        """[N, C]: 1 for each label with a probability of at least the threshold."""
        share = self.config.threshold
        return np.asarray(logits >= math.log(share / (1 - share)), np.float64)

    def set_scores(self, given_NC: Sets, right_NC: Sets) -> dict[str, float]:
        """The metrics of the task."""
        return multi_label.scores(self.config.metrics, given_NC, right_NC)

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One folder, with the names of the labels."""
        settings = sequence_heads.settings_of(
            self.config.labels, "multi_label_classification", self.classifier.dropout.rate
        )
        return {"": self.export_spec(model, settings)}


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> MultiLabelClassification:
    """A model with the head of its family."""
    backbone, pooler = sequence_heads.build_backbone(model, vocabulary)
    classifier = heads.Classifier.of(model, len(config.labels), dropout)
    return MultiLabelClassification(
        config, vocabulary, backbone, classifier, pooler, term=TERM, num_outputs=len(config.labels)
    )
