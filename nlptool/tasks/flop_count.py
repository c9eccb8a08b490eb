"""What a training step on labelled rows costs: FLOPs as a function of the lengths of what is read.

A product costs as much for each token, attention as much for each pair of tokens of a document, a head as much for each
decision. So the arithmetic of a batch is a sum over its documents, tokens, pairs of tokens and decisions, each times a
number that does not change; the four numbers are found from some rows that are counted. A kind of task may name further
numbers of a batch that its arithmetic goes with. Padding costs nothing here, so
what a run has cost does not depend on the order of its rows, on how batches are cut, or on the machine.
"""

# K measures of a batch: documents, tokens, pairs of tokens, decisions

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from nlptool import flops
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.objectives.base import Objective
from nlptool.tasks.base import LabelledDataset, TaskObjective

Measures = NDArray[np.float64]
COUNTED = 8  # rows of different lengths that are counted, for four unknown numbers
# Numbers; a model of fewer computes a row sooner than Python works out the shapes of all that it computes.
SMALL = 2**22
SAMPLE = 2000  # rows that a mean is taken of


class FlopCount:
    """FLOPs of a training step with a micro-batch.

    objective: what is minimised. task: knows what of a batch is read. device: where the objective is.
    """

    def __init__(
        self,
        objective: Objective,
        rows: LabelledDataset,
        task: TaskObjective,
        device: torch.device,
    ) -> None:
        self.objective, self.rows, self.task, self.device = objective, rows, task, device

    def __call__(self, batch: Batch) -> float:
        """FLOPs with the backward pass, as nlptool.flops counts a step; what a teacher computes counts once."""
        return float(self._measures(batch) @ self._each)

    def mean(self) -> float:
        """FLOPs of a row, in the mean over a split; of a large one in the mean over rows of evenly spaced lengths."""
        batches = list(self._batches(SAMPLE))
        return sum(map(self, batches)) / len(batches)

    @cached_property
    def _each(self) -> Measures:
        """What one more of each measure costs."""
        unlike = {tuple(self._measures(batch, padded=True)): batch for batch in self._batches(self._counted)}
        counts = np.array([self._count(batch) for batch in unlike.values()], np.float64)
        padded = np.array(list(unlike))
        # The squares of lengths are thousands of times as large as the rest.
        scale_K = np.maximum(padded.max(0), 1)
        return np.asarray(np.linalg.lstsq(padded / scale_K, counts, rcond=None)[0] / scale_K)

    @property
    def _counted(self) -> int:
        (some,) = self._batches(1)
        return COUNTED * (1 + len(self.task.sizes(some)))

    def _count(self, batch: Batch) -> int:
        weights = self._zeros
        there = replace(batch.to(torch.device("cpu") if weights else self.device), compute_padding=True)
        with torch.no_grad(), flops.counting() as count:
            functional_call(self.objective, weights, (there,))
        return count.step

    @cached_property
    def _zeros(self) -> dict[str, Tensor]:
        """Weights on the CPU with which a small model of shapes is counted; empty: it is counted as it is."""
        named = {**dict(self.objective.named_parameters()), **dict(self.objective.named_buffers())}
        if self.device.type != "meta" or sum(tensor.numel() for tensor in named.values()) > SMALL:
            return {}
        if self.objective.teacher is not None:  # whose weights are not among these
            return {}
        return {name: torch.zeros_like(tensor, device="cpu") for name, tensor in named.items()}

    def _batches(self, most: int) -> Iterator[Batch]:
        """Rows of a split, each by itself: all, or so many of evenly spaced lengths."""
        order = np.argsort(self.rows.lengths, kind="stable")
        places = np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)
        for row in order[places]:
            yield self.objective.collate(self.rows.take(np.array([row])), RandomStreams(0, 0))

    def _measures(self, batch: Batch, *, padded: bool = False) -> Measures:
        lengths = self.task.read(batch).double()
        if padded:  # documents of one row stand beside each other
            lengths = torch.full_like(lengths, float(lengths.max()))
        tokens, pairs = lengths.sum().item(), lengths.square().sum().item()
        return np.array(
            [len(lengths), tokens, pairs, len(batch["labels"]), *self.task.sizes(batch)], np.float64
        )
