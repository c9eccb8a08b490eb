"""A fine-tuned model, opened for prediction: its objective with weights, its tokenizer, and how it reads rows."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from nlptool import notices
from nlptool.errors import DataError
from nlptool.knowledge.entity_table import EntityTable
from nlptool.models import huggingface
from nlptool.models.config import ModelConfig
from nlptool.tasks.base import LabelledDataset, TaskObjective
from nlptool.tasks.config import TaskConfig, numbered
from nlptool.tasks.row_reading import row_reading
from nlptool.tasks.task_of_class import task_of_class
from nlptool.tasks.task_record import TaskRecord, read_task_record
from nlptool.text.store import Split
from nlptool.text.tabular import Row

ROWS = 32
"""Rows of a batch if the model records no number."""


class FinetunedModel:
    """A fine-tuned model for its own task, or for another one of the same head and classes.

    task: None: the task recorded in the folder, or that of its class, for folders written by transformers. Raises
    DataError where there is none, or the folder lacks a head for the task or has other classes.
    """

    def __init__(self, name: str, folder: Path, device: torch.device, task: TaskConfig | None = None) -> None:
        self.name, self.folder = name, folder
        own = read_task_record(folder)
        pretrained = huggingface.load_pretrained(folder)
        model = pretrained.config
        of_class = own is None and task is None
        if own is None:
            try:
                known = task or task_of_class(huggingface.read_config(folder), pretrained.state)
            except ValueError as error:
                raise DataError(
                    f"{name}: config.json names no classes of a task: {error}",
                    hint="name the task: --task TASK",
                ) from error
            if known is None:
                raise DataError(
                    f"{name}: does not record the task it was fine-tuned on (no task.json)",
                    hint="name it: --task TASK, e.g. glue/sst2; or fine-tune it: nlptool finetune",
                )
            own = TaskRecord(known, huggingface.trained_positions(folder, model), ROWS)
        if task is None:
            task = own.located(folder, name)
        else:
            own.require_same(task, name)
        self.record = own._replace(task=task)
        self.task = self.record.task
        if problems := self.task.check(model):
            raise DataError(f"{name}: {problems[0].message}")
        pretrained, self.tokenizer, vocabulary = row_reading(folder, pretrained, self.task)
        knowledge = open_entities(self.task, model, name)
        self.objective = self.task.build(model, vocabulary, 0.0)
        self.objective.knowledge = knowledge
        state = self.objective.from_folders({"": pretrained.state})
        require_head(self.objective, state, name)
        if of_class:
            columns = " and ".join(self.task.text_columns)
            by_class = f"by its class it is {self.task.name} of {columns} (else --task FILE)"
            notices.notify(f"{name}: has no task.json; {by_class}")
        else:
            require_same_classes(self.objective, model, folder, name)
        huggingface.load(self.objective, state)
        self.objective.thresholds.update(self.record.thresholds)
        self.objective.eval().to(device)
        self.parameters = sum(map(torch.numel, self.objective.parameters()))

    def encode(self, rows: Iterable[Row], prefix: Path) -> LabelledDataset:
        """Encode rows without labels into files named `prefix`. Raises DataError with a place."""
        self.objective.encode(rows, self.tokenizer, prefix, labelled=False)
        return self.open(Split(prefix))

    def open(self, split: Split) -> LabelledDataset:
        """The encoded rows."""
        return self.objective.dataset(split, self.record.sequence_length)


def open_entities(task: TaskConfig, model: ModelConfig, name: str) -> EntityTable | None:
    """The entities that a task links mentions to. name: of the model.

    Raises DataError where their embeddings differ in width from the model's, or cannot be read.
    """
    table = task.entity_table()
    wanted = model.model_dump().get("entity_size")
    if table is not None and table.embeddings.width != wanted:
        raise DataError(
            f"{table.embeddings.path}: the vectors have width {table.embeddings.width}, and {name} reads entities of "
            f"width {wanted}",
            hint="name the vectors that the model was pretrained with: task.entity_embeddings=RUN/final",
        )
    return table


def require_head(objective: TaskObjective, state: Mapping[str, Tensor], name: str) -> None:
    """Raise DataError for a model that is only pretrained."""
    there = {key.partition(".")[0] for key in state}
    missing = sorted({part for part, _ in objective.named_children()} - there)
    if missing:
        raise DataError(
            f"{name}: has no {' and no '.join(missing)}, so it is not fine-tuned on the task",
            hint="fine-tune it first, nlptool finetune, and name the final/ of that run",
        )


def require_same_classes(objective: TaskObjective, model: ModelConfig, folder: Path, name: str) -> None:
    """Raise DataError unless each class has the same number in a model's folder and in the task."""
    wanted = huggingface.class_names(objective.folders(model)[""].settings)
    try:
        known = huggingface.class_names(huggingface.read_config(folder))
    except ValueError as error:
        raise DataError(f"{name}: config.json: {error}") from error
    here, there = _folded(wanted), _folded(known)
    if len(wanted) < 2 or here == there:
        return
    hint = "where they are the same by other names, write the task's into id2label in its config.json"
    if sorted(here) == sorted(there):
        order = json.dumps(known, ensure_ascii=False)
        hint = f"list the task's labels in the model's order: labels: {order}"
    raise DataError(
        f"{name}: its classes are {numbered(known) or 'not named'}; those of the task are {numbered(wanted)}",
        hint=hint,
    )


def _folded(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names in lower case, unless case distinguishes them, as in NATO and Nato."""
    folded = tuple(name.casefold() for name in names)
    return folded if len(set(folded)) == len(names) else names
