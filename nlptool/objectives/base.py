"""What an objective is: a net, how its batches are made, and what they cost.

A loss is a set of named sums over named counts. `forward` returns the sums; the batch carries the counts, known when it
is collated; the trainer divides by the totals over all micro-batches and ranks. So the gradient of a step does not
depend on how its batch was cut.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nlptool.data.batches import Batch
from nlptool.data.draws import Draws
from nlptool.text.store import Split


class Examples(Protocol):
    """A store cut into training examples, by random access."""

    def __len__(self) -> int:
        """Examples per epoch."""
        ...

    def take(self, indices: np.ndarray, epochs: np.ndarray, draws: Draws) -> Sequence[Any]:
        """Examples `indices` [N] as cut in `epochs` [N]; N consecutive rows of one step, first row draws.first."""
        ...


class Objective(nn.Module):
    """Wraps a net with what tells BERT from ALBERT from ELECTRA: examples, masking, heads and loss terms."""

    weights: dict[str, float]
    """Weight of each loss term, e.g. {"mlm": 1.0, "rtd": 50.0}."""

    backbone: nn.Module
    """What fine-tuning, prompting, distillation and export load."""

    def examples(self, split: Split, length: int, seed: int) -> Examples:
        """Cut `split` into examples of at most `length` tokens, special tokens included."""
        raise NotImplementedError

    def collate(self, examples: Sequence[Any], draws: Draws) -> Batch:
        """Make one micro-batch; every random choice comes from `draws`."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss terms, each the SUM over `batch.counts[term]` predictions."""
        raise NotImplementedError

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """Held-out sums: the loss terms and whatever `summary` needs besides."""
        return self(batch)  # type: ignore[no-any-return]

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """Held-out figures from the sums and counts of all held-out batches."""
        return {term: totals[term].item() / max(counts[term], 1) for term in self.weights}
