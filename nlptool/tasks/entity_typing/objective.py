"""Entity typing (Zhang et al. 2019, section 4.3): the first token of a marked text says which types a mention has."""

# B rows, N rows of a split, C types, S nets

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import entity_typing
from nlptool.models import heads
from nlptool.models.config import ModelConfig
from nlptool.tasks import sequence_heads
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
    guess = "most frequent type"

    def cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy in nats, the mean over types, summed over rows. logits, labels: [N, C]."""
        wide = torch.promote_types(logits.dtype, torch.float32)
        summed = F.binary_cross_entropy_with_logits(logits.to(wide), labels.to(wide), reduction="sum")
        return summed / self.width

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
        given_NC = np.zeros(rows.labels.shape, bool)
        given_NC[:, train.labels.sum(0).argmax()] = True
        return entity_typing.scores(self.config.metrics, given_NC, rows.labels > 0)

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction` and `label`, lists of types, and `scores`, the probability of each type."""
        shares_NC = torch.from_numpy(logits).sigmoid().tolist()
        for row, given in enumerate(self.decide(logits)):
            named = zip(self.config.labels, shares_NC[row], strict=True)
            line: dict[str, Any] = {
                "prediction": self._names(given),
                "scores": {name: round(share, 6) for name, share in named},
            }
            if rows.labelled:
                line["label"] = self._names(rows.labels[row])
            yield line

    def average(self, logits: Sequence[Numbers]) -> Numbers:
        """The logits of the mean of the probabilities of each type."""
        stacked_SNC = torch.from_numpy(np.stack(logits))
        yes_NC, no_NC = (F.logsigmoid(sign * stacked_SNC).logsumexp(0) for sign in (1, -1))
        return (yes_NC - no_NC).numpy()

    def _names(self, given: Numbers) -> list[str]:
        return [name for name, one in zip(self.config.labels, given, strict=True) if one]


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> EntityTyping:
    """An encoder with the head of its family."""
    encoder, net, pooler = sequence_heads.build_parts(model, vocabulary)
    classifier = heads.Classifier.of(encoder, len(config.labels), dropout)
    return EntityTyping(config, vocabulary, net, classifier, pooler)
