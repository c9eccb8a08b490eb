"""Entity typing (Zhang et al. 2019, section 4.3): the types of a mention from the first token of its marked text."""

# N rows, C types

from typing import TYPE_CHECKING

import numpy as np

from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import entity_typing
from nlptool.models import heads
from nlptool.models.config import ModelConfig
from nlptool.tasks import sequence_heads
from nlptool.tasks.base import Numbers
from nlptool.tasks.label_sets import LabelSetObjective, Sets
from nlptool.tasks.marked_objective import MarkedTextObjective

if TYPE_CHECKING:
    from nlptool.tasks.entity_typing.config import Config


class EntityTyping(LabelSetObjective, MarkedTextObjective):
    """Pooled first token, dropout, one matrix; the loss is the binary cross-entropy, the mean over the types.

    A type is predicted if its logit is above 0. The matrix has a bias, which the released code lacks, so that
    transformers' classes can load it.
    """

    config: "Config"
    term = "binary_cross_entropy"
    problem_type = "multi_label_classification"
    baseline_name = "most frequent type"

    def decide(self, logits: Numbers) -> Numbers:
        """[N, C]: 1 for each predicted type."""
        given_NC = logits > 0
        if self.config.argmax_fallback:
            given_NC |= logits == logits.max(1, keepdims=True)
        return given_NC.astype(np.float64)

    def set_scores(self, given_NC: Sets, right_NC: Sets) -> dict[str, float]:
        """The metrics of the task."""
        return entity_typing.scores(self.config.metrics, given_NC, right_NC)


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> EntityTyping:
    """An encoder with the head of its family."""
    encoder_config, encoder, pooler = sequence_heads.build_parts(model, vocabulary)
    classifier = heads.Classifier.of(encoder_config, len(config.labels), dropout)
    return EntityTyping(config, vocabulary, encoder, classifier, pooler)
