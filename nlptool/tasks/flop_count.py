"""FLOPs of a training step on labelled rows, as a function of the lengths of its inputs.

A matrix product has a constant cost for each token, attention for each pair of tokens of a document, a head for each
decision. So the FLOPs of a batch are a linear function of its documents, tokens, pairs of tokens and decisions; the
four coefficients are fitted to counted rows. A kind of task may add further numbers. Padding costs nothing here, so
the cost of a run depends neither on the order of its rows, nor on its batches, nor on the machine.
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
COUNTED = 8  # rows of different lengths that are counted, for four unknowns
# parameters; for a smaller model, computing a row is faster than deriving the shapes of all operations
SMALL = 2**22
SAMPLE = 2000  # rows that a mean is computed over


class FlopCount:
    """FLOPs of a training step with a micro-batch.

    objective: the one that is trained. task: knows the inputs in a batch. device: of the objective.
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
        """FLOPs with the backward pass, as nlptool.flops counts a step; a teacher counts once."""
        return float(self._measures(batch) @ self._each)

    def mean(self) -> float:
        """Mean FLOPs of a row of a split; for a large one, of rows of evenly spaced lengths."""
        batches = list(self._batches(SAMPLE))
        return sum(map(self, batches)) / len(batches)

    @cached_property
    def _each(self) -> Measures:
        """The cost of one unit of each measure."""
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
        """Weights on the CPU for counting a small meta-device model; empty: it is counted on the meta device."""
        named = {**dict(self.objective.named_parameters()), **dict(self.objective.named_buffers())}
        if self.device.type != "meta" or sum(tensor.numel() for tensor in named.values()) > SMALL:
            return {}
        if self.objective.teacher is not None:  # whose weights are not among these
            return {}
        return {name: torch.zeros_like(tensor, device="cpu") for name, tensor in named.items()}

    def _batches(self, most: int) -> Iterator[Batch]:
        """Single rows of a split: all, or a number of evenly spaced lengths."""
        order = np.argsort(self.rows.lengths, kind="stable")
        places = np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)
        for row in order[places]:
            yield self.objective.collate(self.rows.take(np.array([row])), RandomStreams(0, 0))

    def _measures(self, batch: Batch, *, padded: bool = False) -> Measures:
        lengths = self.task.read(batch).double()
        if padded:  # documents of one row are padded to one length
            lengths = torch.full_like(lengths, float(lengths.max()))
        tokens, pairs = lengths.sum().item(), lengths.square().sum().item()
        return np.array(
            [len(lengths), tokens, pairs, len(batch["labels"]), *self.task.sizes(batch)], np.float64
        )
