"""Classification and regression of a text or a pair (Devlin et al. 2019, section 4.1)."""

# B batch, T tokens, D width, N rows, W logits of a row: one a class, or one number

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.data.batches import Batch
from nlptool.data.row_view import RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import classification
from nlptool.models import heads
from nlptool.models.base import Decoder, Encoder
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec
from nlptool.tasks import linked_rows, sequence_heads
from nlptool.tasks.base import LabelledDataset, Numbers
from nlptool.tasks.text_objective import TextObjective

if TYPE_CHECKING:
    from nlptool.tasks.classification.config import Config

HIDDEN = -1.0  # the label of GLUE's test rows


class Classification(TextObjective):
    """A class or a number from one token's last hidden state: an encoder's first, a decoder's last.

    The loss is the cross-entropy, or for numbers the squared error on their own scale (ELECTRA's code divides
    STS-B's by 5).
    """

    config: "Config"

    def __init__(
        self,
        config: "Config",
        vocabulary: Vocabulary,
        backbone: Encoder | Decoder,
        classifier: heads.Classifier,
        pooler: heads.Pooler | None,
    ) -> None:
        term = "cross_entropy" if config.labels else "squared_error"
        super().__init__(
            config, vocabulary, backbone, classifier, pooler, term=term, num_outputs=config.num_outputs
        )
        self.class_names = config.labels
        self.baseline_name = "majority" if config.labels else "mean of labels"
        self._factors_W: tuple[float, ...] | None = None

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """Notes on -1 among numbers, which may be hidden labels as in GLUE's test rows, and on missing links."""
        warnings = super().data_warnings(rows)
        numbers_N = rows.labels[:, 0]
        lost = int((numbers_N == HIDDEN).sum())
        if self.config.labels or not lost or (numbers_N[numbers_N != HIDDEN] < 0).any():
            return warnings
        return [
            *warnings,
            f"the label of {lost:,} of {rows.count:,} rows is -1, as GLUE writes hidden labels; if these are, remove "
            "the rows, or name a split with labels",
        ]

    def weigh(self, train: LabelledDataset) -> None:
        """Set the class weights, from the training rows if they are balanced."""
        given = self.config.class_weights
        if given == "balanced":
            counts_W = np.bincount(train.labels[:, 0].astype(int), minlength=self.num_outputs)
            given = tuple((train.count / (self.num_outputs * np.maximum(counts_W, 1))).tolist())
        self._factors_W = given if isinstance(given, tuple) else None

    def row_views(self, batch: Batch) -> list[RowView]:
        """Each row with its class or number."""
        views = sequence_heads.row_views(batch, self._spell)
        return linked_rows.with_marks(views, batch, self.knowledge)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses, each times the weight of its class; the mean is over rows, not over weights."""
        if self._factors_W is None:
            return super().forward(batch)
        logits_BW = self.predict(batch)
        wide_BW = logits_BW.to(torch.promote_types(logits_BW.dtype, torch.float32))
        factors_W = torch.tensor(self._factors_W, dtype=wide_BW.dtype, device=wide_BW.device)
        labels_B = batch["labels"][:, 0].long()
        return {self.term: F.cross_entropy(wide_BW, labels_B, weight=factors_W, reduction="sum")}

    def cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Summed cross-entropy in nats, or squared error. logits: [N, W]; labels: [N, 1]."""
        if self.config.labels:
            return super().cost(logits, labels)
        wide = torch.promote_types(logits.dtype, torch.float32)
        return F.mse_loss(logits.to(wide), labels.to(wide), reduction="sum")

    def decide(self, logits: Numbers) -> Numbers:
        """[N, 1]: the most probable class, or the number."""
        return super().decide(logits) if self.config.labels else logits

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """The metrics of the task."""
        return classification.scores(self.config.metrics, self.decide(logits)[:, 0], rows.labels[:, 0])

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """The metrics of the most frequent class, or of the mean."""
        return sequence_heads.baseline(self.config, train, rows, classes=bool(self.config.labels))

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction`, for classes also `scores`, their probabilities, and `label`."""
        return sequence_heads.answers(rows, logits, self.decide(logits), self._spell, self.config.labels)

    def average(self, logits: Sequence[Numbers]) -> Numbers:
        """The logits of the mean probabilities, or the mean of the numbers."""
        return super().average(logits) if self.config.labels else np.mean(np.stack(logits), 0)

    def submitted(self, answer: dict[str, Any]) -> Any:
        """The class in the form of the server, or the number clipped to the task's range."""
        if self.config.range is not None:
            low, high = self.config.range
            return min(max(answer["prediction"], low), high)
        return sequence_heads.submitted(self.config, answer, self.config.labels)

    def submission_files(self, split: str, answers: list[dict[str, Any]]) -> dict[str, str]:
        """The server's file of a test split."""
        return sequence_heads.index_and_prediction(self.config, split, map(self.submitted, answers))

    def _spell(self, label: float) -> Any:
        return self.config.labels[int(label)] if self.config.labels else label

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One folder, with the names of the classes."""
        settings = sequence_heads.settings_of(
            self.config.labels or ("LABEL_0",),
            "single_label_classification" if self.config.labels else "regression",
            self.classifier.dropout.rate,
        )
        return {"": self.export_spec(model, settings)}


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> Classification:
    """A model with the head of its family."""
    backbone, pooler = sequence_heads.build_backbone(model, vocabulary)
    classifier = heads.Classifier.of(model, config.num_outputs, dropout)
    return Classification(config, vocabulary, backbone, classifier, pooler)
