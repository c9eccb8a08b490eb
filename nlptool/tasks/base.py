"""The base of fine-tuning tasks: an objective that also predicts, row by row.

A kind of task is a folder here: `config.py` holds its recipe block `Config`, a TaskConfig that builds the objective.
A task's file is one such block: recipes/tasks/glue/sst2.yaml.

A task is a set of decisions: the class of a text, the right one of several texts, the tag of each word, the first
and the last token of an answer. A row of the data has one decision or many; the model gives logits for each, one per
alternative. `predict` and `cost` deal with decisions alone; `encode`, `dataset`, `score` and `answers` convert
between rows, decisions and answers.
"""

# N decisions, W logits of a decision: one for each alternative, or a single predicted number

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
    """A split, as the model's inputs."""

    labels: Numbers
    """[N, 1], the right alternative of each decision; NaN if it is hidden."""
    count: int
    """Rows of the data; a long one may be several inputs."""
    labelled: bool
    """Whether labels are known."""
    cuts: tuple[Truncation, ...]
    """How many rows are truncated, or cannot be answered, by the key that sets the limit."""


class TaskObjective(Objective):
    """A pretrained model with a head for a task."""

    config: TaskConfig

    num_outputs: int
    """W; if decisions have different numbers of alternatives, the largest."""

    baseline_name: str
    """Name of the baseline in tables, e.g. majority."""

    def __init__(self) -> None:
        super().__init__()
        self.thresholds: dict[str, float] = {}
        """The thresholds chosen by `fit_thresholds`, by name; final/ records them."""

    knowledge: EntityTable | None = None
    """The entities of mentions, with embeddings, if the task names a graph; memory-mapped, in no state dict."""

    class_names: tuple[str, ...] = ()
    """The alternatives of every decision, if they are always the same and have names."""

    @property
    def metric(self) -> str:
        """The metric that selects the best checkpoint; higher is better."""
        return self.config.metrics[0]

    def loss(self, figures: dict[str, float]) -> float:
        """The negated metric."""
        return -figures[self.metric]

    def encode(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Write the rows of a split for `dataset`, in bounded memory, and return their number.

        Raises DataError, with the row's place, for an invalid row.
        """
        raise NotImplementedError

    def dataset(self, split: Split, length: int) -> LabelledDataset:
        """The rows written by `encode`, with at most `length` tokens."""
        raise NotImplementedError

    def data_warnings(self, rows: LabelledDataset) -> list[str]:
        """Possible faults of a split, such as labels that look hidden, reported when a run starts."""
        return []

    def weigh(self, train: LabelledDataset) -> None:
        """Compute from the training rows what their loss needs, such as class frequencies."""

    def prepare_splits(self, splits: dict[str, LabelledDataset]) -> dict[str, LabelledDataset]:
        """The splits of a run by name; several training splits are joined as `config.train`."""
        return splits

    def subsets(self, rows: LabelledDataset) -> list[LabelledDataset]:
        """Subsets that batches are made of, in turn; usually all rows."""
        return [rows]

    def read(self, batch: Batch) -> Tensor:
        """The number of real tokens in each document of a batch, [documents]."""
        return batch["lengths"]

    keeps_features = False
    """Whether a part of the model is frozen, so that its features of each document are computed once and cached."""

    def features(self, batch: Batch) -> Tensor:
        """Features of each document by the frozen part of the model, [documents, D]."""
        raise NotImplementedError

    def use_features(self, rows: LabelledDataset, features: NDArray[np.float32]) -> None:
        """Use the cached features of a split's documents, [documents, D], in place of its tokens."""
        raise NotImplementedError

    def assume_features(self, rows: LabelledDataset) -> None:
        """Give a split features of the right shape, to measure the cost of a step."""
        raise NotImplementedError

    def sizes(self, batch: Batch) -> list[int]:
        """Further numbers of a batch, besides documents, tokens and decisions, that its FLOPs are proportional to."""
        return []

    explains = False
    """Whether `explain` explains predictions."""

    def explain(self, batch: Batch, rows: LabelledDataset) -> list[dict[str, Any]]:
        """Explanations of the answers to the rows of a batch, for the predictions file. rows: indices of these rows."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of the losses, the one term of `weights`."""
        (term,) = self.weights
        return {term: self.cost(self.predict(batch), batch["labels"])}

    def predict(self, batch: Batch) -> Tensor:
        """Logits of each decision, [N, W]; the decisions' numbers are batch["row"] [N].

        Alternatives that a decision lacks, because others have more, get -10,000.
        """
        raise NotImplementedError

    def cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, summed over decisions: cross-entropy in nats. logits: [N, W]; labels: [N, 1]."""
        wide = torch.promote_types(logits.dtype, torch.float32)
        return F.cross_entropy(logits.to(wide), labels[:, 0].long(), reduction="sum")

    def decide(self, logits: Numbers) -> Numbers:
        """[N, 1]: the numbers of the most probable alternatives. logits: [N, W]."""
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
        """The task's metrics, and further figures. logits: [N, W], finite."""
        raise NotImplementedError

    def total(self, figures: dict[str, float], rows: Mapping[str, int]) -> dict[str, float]:
        """Figures over all validation splits, from those of each. rows: the size of each split."""
        return {}

    def baseline(self, train: LabelledDataset, rows: LabelledDataset) -> dict[str, float]:
        """The metrics of a baseline without a model, from the labels of `train` alone."""
        raise NotImplementedError

    def fit_thresholds(self, rows: LabelledDataset, logits: Numbers) -> None:
        """Tune on the first validation split what answers need besides a model, such as a threshold."""

    def answers(self, rows: LabelledDataset, logits: Numbers) -> Iterator[dict[str, Any]]:
        """A line of the predictions file for each row of the data: `prediction`, `label` if known, and more."""
        raise NotImplementedError

    def located(self, row: Row, answer: dict[str, Any]) -> dict[str, Any]:
        """The parts of a row that an answer refers to, so that predictions can be read without the rows."""
        return {}

    def average(self, logits: Sequence[Numbers]) -> Numbers:
        """The logits of several models as one, [N, W]: those of their mean probabilities."""
        log_probabilities = torch.from_numpy(np.stack(logits)).log_softmax(-1)
        return (log_probabilities.logsumexp(0) - math.log(len(logits))).numpy()

    def submitted(self, answer: dict[str, Any]) -> Any:
        """The prediction of a row in the form of the benchmark's server. Raises UsageError where there is none."""
        raise UsageError(
            "this kind of task has no submission file of a line for each row",
            hint="leave --submission out; the predictions have all that is known of a row",
        )

    def submission_files(self, split: str, answers: list[dict[str, Any]]) -> dict[str, str]:
        """Files for the benchmark's own program or server, by name."""
        return {}
