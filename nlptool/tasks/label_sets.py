"""Tasks with any number of labels per row: each label is a binary decision."""

# N rows, C labels, S models

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective

if TYPE_CHECKING:
    from nlptool.tasks.entity_typing.config import Config as EntityTypingConfig
    from nlptool.tasks.multi_label_classification.config import Config as MultiLabelConfig

Sets = NDArray[np.bool_]


class LabelSetObjective(TaskObjective):
    """The base of such tasks, for any texts; subclasses have `decide` and `set_scores`."""

    config: "EntityTypingConfig | MultiLabelConfig"

    def set_scores(self, given_NC: Sets, right_NC: Sets) -> dict[str, float]:
        """The metrics of the task, for predicted and true labels."""
        raise NotImplementedError

    def cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy in nats, the mean over labels, summed over rows. logits, labels: [N, C]."""
        wide = torch.promote_types(logits.dtype, torch.float32)
        summed = F.binary_cross_entropy_with_logits(logits.to(wide), labels.to(wide), reduction="sum")
        return summed / logits.shape[1]

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """The metrics of the task."""
        return self.set_scores(self.decide(logits) > 0, rows.labels > 0)

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """The metrics of always predicting the most frequent label of the training rows."""
        given_NC = np.zeros(rows.labels.shape, bool)
        given_NC[:, train.labels.sum(0).argmax()] = True
        return self.set_scores(given_NC, rows.labels > 0)

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """`prediction` and `label`, lists of labels, and `scores`, the probability of each label."""
        names, shares_NC = self.config.labels, torch.from_numpy(logits).sigmoid().tolist()
        for row, given_C in enumerate(self.decide(logits)):
            named = zip(names, shares_NC[row], strict=True)
            line: dict[str, Any] = {
                "prediction": names_of(given_C, names),
                "scores": {name: round(share, 6) for name, share in named},
            }
            if rows.labelled:
                line["label"] = names_of(rows.labels[row], names)
            yield line

    def average(self, logits: Sequence[Numbers]) -> Numbers:
        """The logits of the mean probability of each label, [N, C]."""
        stacked_SNC = torch.from_numpy(np.stack(logits))
        yes_NC, no_NC = (F.logsigmoid(sign * stacked_SNC).logsumexp(0) for sign in (1, -1))
        return (yes_NC - no_NC).numpy()


def names_of(given_C: Numbers, names: Sequence[str]) -> list[str]:
    """The names of a row's labels."""
    return [name for name, one in zip(names, given_C, strict=True) if one]
