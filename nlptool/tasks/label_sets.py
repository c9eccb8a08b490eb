"""Rows that have any number of labels: each is a decision of its own, learnt by binary cross-entropy."""

# N rows, C labels, S models

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.tasks.base import LabelledDataset, Numbers


def cost(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy in nats, the mean over labels, summed over rows. logits, labels: [N, C]."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    summed = F.binary_cross_entropy_with_logits(logits.to(wide), labels.to(wide), reduction="sum")
    return summed / logits.shape[1]


def answers(
    rows: LabelledDataset, logits: Numbers, given: Numbers, names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """`prediction` and `label`, lists of names, and `scores`, the probability of each label. given: [N, C], 0 or 1."""
    shares_NC = torch.from_numpy(logits).sigmoid().tolist()
    for row, chosen in enumerate(given):
        named = zip(names, shares_NC[row], strict=True)
        line: dict[str, Any] = {
            "prediction": names_of(chosen, names),
            "scores": {name: round(share, 6) for name, share in named},
        }
        if rows.labelled:
            line["label"] = names_of(rows.labels[row], names)
        yield line


def average(logits: Sequence[Numbers]) -> Numbers:
    """The logits of the mean of the probabilities of each label, [N, C]."""
    stacked_SNC = torch.from_numpy(np.stack(logits))
    yes_NC, no_NC = (F.logsigmoid(sign * stacked_SNC).logsumexp(0) for sign in (1, -1))
    return (yes_NC - no_NC).numpy()


def most_frequent(train: Numbers, rows: int) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """[rows, C]: each row has the most frequent label of the training rows alone. train: [N, C]."""
    given_NC = np.zeros((rows, train.shape[1]), bool)
    given_NC[:, train.sum(0).argmax()] = True
    return given_NC


def names_of(given: Numbers, names: Sequence[str]) -> list[str]:
    """The names of the labels that a row has. given: [C]."""
    return [name for name, one in zip(names, given, strict=True) if one]
