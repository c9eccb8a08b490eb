"""Scores of graphs on labelled rows of the model's task, by the task's own code, as in `evaluate`."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nlptool.commands.export.options import ExportOptions
from nlptool.console import Console
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.launch import ALONE
from nlptool.models import onnx_export
from nlptool.models.base import Inputs
from nlptool.models.kernels.cpu import CPU
from nlptool.models.onnx_export import Feeds
from nlptool.objectives.base import inputs_of
from nlptool.tasks.finetuned import FinetunedModel
from nlptool.tasks.labelled import LabelledSource
from nlptool.tasks.predictions import compute_logits
from nlptool.tasks.task_record import read_task_record
from nlptool.text.store import Split
from nlptool.text.tabular import of_rows
from nlptool.train import distributed
from nlptool.train.interrupts import SignalHandler

# B rows of a batch, T tokens, C logits

Answer = Callable[[Feeds], Sequence[NDArray[np.float32]]]


def can_read(model: Path, options: ExportOptions) -> bool:
    """Whether a task reads the rows: the model has one, they are no plain lines, and no columns are named."""
    assert options.rows is not None
    record = None if options.names_columns else read_task_record(model)
    return record is not None and of_rows(Path(options.rows), columns=record.task.conll) is not None


class TaskRows:
    """Rows of a file as encoded by a model's task. A context manager: the encoded rows are in a temporary folder.

    If labels are missing or unknown to the task, nothing is scored, with a note. of_choices: whether a row has a
    document for each alternative.
    """

    def __init__(self, model: Path, file: str, console: Console, *, of_choices: bool = False) -> None:
        self.model = FinetunedModel(str(model), model, CPU)
        self.choices = self.model.objective.num_outputs if of_choices else 1
        self._aside = tempfile.TemporaryDirectory(prefix="nlptool-rows-")
        split = Path(file).name.partition(".")[0]
        source, prefix = LabelledSource(self.model.task, file, (split,)), Path(self._aside.name) / "rows"
        encode = self.model.objective.encode
        try:
            encode(source.read(split), self.model.tokenizer, prefix, labelled=True)
        except DataError as error:
            encode(source.read(split), self.model.tokenizer, prefix, labelled=False)
            console.note(f"no scores: {error.message}")
        self.rows = self.model.open(Split(prefix))
        if not len(self.rows):
            raise DataError(f"{file}: no row")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._aside.cleanup()

    def batches(self, most: int, batch_size: int) -> list[Feeds]:
        """The first `most` rows in batches of similar length."""
        objective, chosen = self.model.objective, np.arange(min(most, len(self.rows)))
        chosen = chosen[np.argsort(self.rows.lengths[chosen], kind="stable")]
        parts = np.array_split(chosen, -(-len(chosen) // batch_size))
        nothing_drawn = RandomStreams(0, 0)
        return [
            feeds_of(inputs_of(objective.collate(self.rows.take(few), nothing_drawn)), self.choices)
            for few in parts
        ]

    def figures(self, answers: Mapping[str, Answer], batch_size: int) -> dict[str, dict[str, float]]:
        """For each graph the task's scores, and its agreement with the first one, which is the model."""
        objective, logits = self.model.objective, dict[str, NDArray[np.float64]]()
        world = distributed.join(ALONE)
        with SignalHandler(alone=True) as signals:
            for name, answer in answers.items():
                if logits:
                    stand_in(objective, answer, self.choices)
                found = compute_logits(objective, self.rows, "fp32", world, signals, batch_size=batch_size)
                logits[name] = found
        first = next(iter(logits.values()))
        decided = objective.decide(first)
        scored = {name: dict[str, float]() for name in logits}
        for name, found in logits.items():
            if not np.array_equal(decided, first):  # a number is not a decision
                scored[name]["agreement"] = float((objective.decide(found) == decided).mean())
            if self.rows.labelled:
                scored[name] |= objective.score(self.rows, found)
        return scored


def stand_in(objective: nn.Module, answer: Answer, choices: int) -> None:
    """Let a graph take the place of an objective's model; the heads after it become identities."""
    for name, _ in list(objective.named_children()):
        parts: dict[str, nn.Module | None] = {"backbone": GraphNet(answer, choices), "pooler": None}
        setattr(objective, name, parts.get(name, nn.Identity()))


class GraphNet(nn.Module):
    """A model whose hidden states are a graph's outputs. choices: documents of a row."""

    def __init__(self, answer: Answer, choices: int) -> None:
        super().__init__()
        self.answer, self.choices = answer, choices

    def forward(self, inputs: Inputs) -> Tensor:
        """[B, 1, C] for one output a row, else [B, T, C]."""
        found = [torch.from_numpy(one) for one in self.answer(feeds_of(inputs, self.choices))]
        if self.choices > 1:
            return found[0].reshape(-1, 1, 1)
        logits = torch.stack(found, -1) if len(found) > 1 else found[0]
        return logits[:, None] if logits.ndim == 2 else logits


def feeds_of(inputs: Inputs, choices: int) -> Feeds:
    """Ids, segments and lengths as a graph's inputs. choices: documents of a row."""
    ids_BT, lengths_B = inputs.ids, inputs.lengths
    assert lengths_B is not None
    mask_BT = torch.arange(ids_BT.shape[1]) < lengths_B[:, None]
    types_BT = torch.zeros_like(ids_BT) if inputs.token_type_ids is None else inputs.token_type_ids
    found = {"input_ids": ids_BT, "attention_mask": mask_BT.long(), "token_type_ids": types_BT}
    feeds = {name: tensor.numpy() for name, tensor in found.items()}
    return onnx_export.of_choices(feeds, choices) if choices > 1 else feeds
