"""What a task is to fine-tuning: an objective that also answers, row by row.

A kind of task is a folder here: `config.py` holds its recipe block `Config`, a TaskConfig that builds the objective.
A task's file is one such block: recipes/tasks/glue/sst2.yaml.

All that a kind does with a model is to decide: the class of a text, the right one of several texts, the tag of each
word, the token at which an answer begins and that at which it ends. A row of the data has one decision or many; what
the model gives for each is logits, one for each alternative. `predict` and `cost` know decisions alone; how they come
from rows and make answers is between `encode`, `dataset`, `score` and `answers`.
"""

# N decisions, W logits of a decision: one for each alternative, or the one number that is predicted

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.data.batches import Batch
from nlptool.data.length_bucketing import IndexedRows
from nlptool.data.pair_inputs import Truncation
from nlptool.errors import UsageError
from nlptool.knowledge.entity_table import EntityTable
from nlptool.objectives.base import Objective
from nlptool.tasks.config import TaskConfig
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

Numbers = NDArray[np.float64]


class LabelledDataset(IndexedRows, Protocol):
    """A split, cut into what a model reads at once."""

    labels: Numbers
    """[N, 1], what is right in each decision; NaN where that is hidden."""
    count: int
    """Rows of the data; a long one may be several examples."""
    labelled: bool
    """Whether labels are known."""
    cuts: tuple[Truncation, ...]
    """How many rows are not read whole, or cannot be answered, by the key that sets the limit."""


class TaskObjective(Objective):
    """A pretrained model with a head for a task."""

    config: TaskConfig

    num_outputs: int
    """W; where decisions have different numbers of alternatives, the most that one can have."""

    baseline_name: str
    """Name of the baseline in tables, e.g. majority."""

    def __init__(self) -> None:
        super().__init__()
        self.thresholds: dict[str, float] = {}
        """What `fit_thresholds` has chosen, by name; final/ carries it."""

    knowledge: EntityTable | None = None
    """The entities that mentions are linked to, with their vectors, where the task names some. They are mapped, in no
    state dict and on no device."""

    class_names: tuple[str, ...] = ()
    """The alternatives of every decision, where they are the same each time and have names."""

    @property
    def metric(self) -> str:
        """The figure that chooses the best checkpoint; more is better."""
        return self.config.metrics[0]

    def loss(self, figures: dict[str, float]) -> float:
        """The metric, turned round."""
        return -figures[self.metric]

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Write the rows of a split for `dataset`, in bounded memory; returns how many there are.

        Raises DataError, with the row's place, for what is not as it should be.
        """
        raise NotImplementedError

    def dataset(self, split: Split, length: int) -> LabelledDataset:
        """The rows that `encode` has written, of at most `length` tokens."""
        raise NotImplementedError

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """What in a split may be wrong, such as labels that look hidden; reported when a run starts."""
        return []

    def weigh(self, train: LabelledDataset) -> None:
        """Take from the training rows what their loss needs to know, such as how frequent each class is."""

    def prepare_splits(self, splits: dict[str, LabelledDataset]) -> dict[str, LabelledDataset]:
        """The splits of a run by name, as it reads them: several training splits are one, `config.train`."""
        return splits

    def subsets(self, rows: LabelledDataset) -> list[LabelledDataset]:
        """What batches are made of, of each by itself, in turn: mostly all rows."""
        return [rows]

    def read(self, batch: Batch) -> Tensor:
        """The real tokens that the model reads of each document of a batch, [documents]."""
        return batch["lengths"]

    keeps_features = False
    """Whether a part of the model is frozen, and its features of each document are computed once and cached."""

    def features(self, batch: Batch) -> Tensor:
        """Features of each document by the frozen part of the model, [documents, D]."""
        raise NotImplementedError

    def use_features(self, rows: LabelledDataset, features: NDArray[np.float32]) -> None:
        """Take what is kept of the documents of a split, [documents, D], in place of reading them."""
        raise NotImplementedError

    def assume_features(self, rows: LabelledDataset) -> None:
        """Let a split have features of the right shape, to find out what a step costs."""
        raise NotImplementedError

    def sizes(self, batch: Batch) -> list[int]:
        """Numbers of a batch, besides documents, tokens and decisions, that its arithmetic is proportional to."""
        return []

    explains = False
    """Whether `explain` gives the reasons of a prediction."""

    def explain(self, batch: Batch, rows: LabelledDataset) -> list[dict[str, Any]]:
        """What the answer to each row of a batch rests on, for a line of the predictions. rows: those it is one of."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses, the one term of `weights`."""
        (term,) = self.weights
        return {term: self.cost(self.predict(batch), batch["labels"])}

    def predict(self, batch: Batch) -> Tensor:
        """Logits of each decision, [N, W]; the decisions' numbers are batch["row"] [N].

        Alternatives that a decision does not have, because others have more, stand at -10,000.
        """
        raise NotImplementedError

    def cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, summed over decisions: cross-entropy in nats. logits: [N, W]; labels: [N, 1]."""
        wide = torch.promote_types(logits.dtype, torch.float32)
        return F.cross_entropy(logits.to(wide), labels[:, 0].long(), reduction="sum")

    def decide(self, logits: Numbers) -> Numbers:
        """[N, 1]: the most probable alternatives, by number. logits: [N, W]."""
        return np.asarray(logits.argmax(1, keepdims=True), np.float64)

    def figures(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """Mean loss and metrics of logits, [N, W]. A model that has diverged scores 0."""
        (term,) = self.weights
        cost = self.cost(torch.from_numpy(logits), torch.from_numpy(rows.labels)).item()
        scores = self.score(rows, np.nan_to_num(logits))
        if not np.isfinite(logits).all():
            scores = dict.fromkeys(scores, 0.0)
        return {term: cost / len(rows.labels)} | scores

    def score(self, rows: LabelledDataset, logits: Numbers) -> dict[str, float]:
        """The task's metrics, and what there is to know besides. logits: [N, W], finite."""
        raise NotImplementedError

    def total(self, figures: dict[str, float], rows: Mapping[str, int]) -> dict[str, float]:
        """Figures of all validation splits together, from those of each. rows: how many each split has."""
        return {}

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """The metrics of what needs no model: it knows the labels of `train`, and reads nothing."""
        raise NotImplementedError

    def fit_thresholds(self, rows: LabelledDataset, logits: Numbers) -> None:
        """Choose on the first validation split what answers need besides a model, such as a threshold."""

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """A line of the predictions file for each row of the data: `prediction`, `label` if known, and more."""
        raise NotImplementedError

    def located(self, row: Row, answer: dict[str, Any]) -> dict[str, Any]:
        """What of a row an answer means, for who reads predictions without the row beside them."""
        return {}

    def average(self, logits: Sequence[Numbers]) -> Numbers:
        """The logits of several models as one, [N, W]: those of the mean of their probabilities."""
        log_probabilities = torch.from_numpy(np.stack(logits)).log_softmax(-1)
        return (log_probabilities.logsumexp(0) - math.log(len(logits))).numpy()

    def submitted(self, answer: dict[str, Any]) -> Any:
        """The prediction of a row as the benchmark's server takes it. Raises UsageError where there is no server."""
        raise UsageError(
            "this kind of task has no submission file of a line for each row",
            hint="leave --submission out; the predictions have all that is known of a row",
        )

    def submission_files(self, split: str, answers: list[dict[str, Any]]) -> dict[str, str]:
        """Files that the benchmark's own program or server takes, by name."""
        return {}
