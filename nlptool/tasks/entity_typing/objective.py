"""Entity typing (Zhang et al. 2019, section 4.3): the first token of a marked text says which types a mention has."""

# B rows, N rows of a split, C types, S models

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import entity_typing
from nlptool.models import heads
from nlptool.models.config import ModelConfig
from nlptool.tasks import label_sets, sequence_heads
from nlptool.tasks.base import LabelledDataset, Numbers
from nlptool.tasks.marked_objective import MarkedTextObjective

if TYPE_CHECKING:
    from nlptool.tasks.entity_typing.config import Config


class EntityTyping(MarkedTextObjective):
    """Pooled first token, dropout, one matrix; the loss is the binary cross-entropy, the mean over the types.

    A type is given where its logit is above 0. The matrix has a bias, which the released code's has not, so that the
    classes of transformers load it.
    """

    config: "Config"
    term = "binary_cross_entropy"
    problem_type = "multi_label_classification"
    baseline_name = "most frequent type"

    def cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy in nats, the mean over types, summed over rows. logits, labels: [N, C]."""
        return label_sets.cost(logits, labels)

    def decide(self, logits: Numbers) -> Numbers:
        """[N, C]: 1 for each type that is given."""
        given_NC = logits > 0
        if self.config.argmax_fallback:
            given_NC |= logits == logits.max(1, keepdims=True)
        return given_NC.astype(np.float64)

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """The metrics of the task."""
        return entity_typing.scores(self.config.metrics, self.decide(logits) > 0, rows.labels > 0)

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """What the most frequent type alone scores."""
        given_NC = label_sets.most_frequent(train.labels, len(rows.labels))
        return entity_typing.scores(self.config.metrics, given_NC, rows.labels > 0)

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction` and `label`, lists of types, and `scores`, the probability of each type."""
        return label_sets.answers(rows, logits, self.decide(logits), self.config.labels)

    def average(self, logits: Sequence[Numbers]) -> Numbers:
        """The logits of the mean of the probabilities of each type."""
        return label_sets.average(logits)


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> EntityTyping:
    """An encoder with the head of its family."""
    encoder_config, encoder, pooler = sequence_heads.build_parts(model, vocabulary)
    classifier = heads.Classifier.of(encoder_config, len(config.labels), dropout)
    return EntityTyping(config, vocabulary, encoder, classifier, pooler)
