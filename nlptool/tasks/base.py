"""What a task is to fine-tuning: an objective that also answers, row by row.

A kind of task is a folder here: `config.py` holds its recipe block `Config`, with

    def example(self, row: Row, *, labelled: bool) -> Example

and `check(task: Config, model: Block) -> list[Problem]`; `objective.py` has

    def build(config: Config, model: Block, vocabulary: Vocabulary, dropout: float) -> TaskObjective

dropout: rate in the head. A task's file is one such block: recipes/tasks/glue/sst2.yaml.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nlptool.data.batches import Batch
from nlptool.data.inputs import Inputs
from nlptool.objectives.base import Objective
from nlptool.text.store import Split


class TaskObjective(Objective):
    """A pretrained net with a head for a task."""

    width: int
    """Numbers that it says of a row."""

    metric: str
    """The figure that chooses the best checkpoint; more is better."""

    def loss(self, figures: dict[str, float]) -> float:
        """The metric, turned round."""
        return -figures[self.metric]

    def examples(self, split: Split, length: int, seed: int) -> Inputs:
        """The rows of a split that nlptool.data.inputs has written."""
        raise NotImplementedError

    def predict(self, batch: Batch) -> Tensor:
        """What the net says of each row, [B, width]."""
        raise NotImplementedError

    def cost(self, said: Tensor, labels: Tensor) -> Tensor:
        """The loss, summed over rows. said: [N, width]; labels: [N, numbers a label has]."""
        raise NotImplementedError

    def decide(self, said: NDArray[np.float64]) -> NDArray[np.float64]:
        """The label that each row gets, [N, numbers a label has]. said: [N, width]."""
        raise NotImplementedError

    def spell(self, label: list[float]) -> Any:
        """A label as people write it: a class's name, a number."""
        raise NotImplementedError

    def answer(self, said: list[float], decided: list[float]) -> dict[str, Any]:
        """What the predictions file says of one row: `prediction`, and what there is besides."""
        raise NotImplementedError
