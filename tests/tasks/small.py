"""Rows, a vocabulary and models small enough to try every kind of task in seconds."""

from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from nlptool import registry
from nlptool.data.batches import Batch
from nlptool.data.length_bucketing import LengthBucketedBatches, SequentialBatches
from nlptool.data.pair_inputs import TextPairDataset
from nlptool.data.vocabulary import Vocabulary
from nlptool.models.config import ModelConfig
from nlptool.tasks.base import TaskObjective
from nlptool.tasks.config import TaskConfig
from nlptool.tasks.marked_text import LinkedTaskConfig
from nlptool.text.row_template import RowTemplate
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

WORDS = ("the", "river", "old", "town", "a", "bell", "small", "house", "winter", "wood", "stone", "light")
MODEL = {"name": "bert", "layers": 2, "hidden": 32, "heads": 2, "max_positions": 40, "init": 0.1}
ERNIE = {"name": "ernie", "layer_types": ("mix", "norm"), "entity_size": 12, "entity_heads": 2}
LENGTH = 24


def facts(name: str) -> ModuleType:
    """What must be known of a kind of task to try it: kinds/NAME.py."""
    return import_module(f"kinds.{name}")


def model(kind: str, **changes: Any) -> ModelConfig:
    """The tiny model, without dropout, that a kind is tried with."""
    block = {"dropout": 0.0, "attention_dropout": 0.0} | getattr(facts(kind), "MODEL", MODEL) | changes
    made: ModelConfig = registry.config("models", block["name"]).model_validate(block)
    return made


def entity_keys(task: TaskConfig) -> dict[str, Any]:
    """Keys by which the tiny model reads the entities that a task's texts mention, where it names a graph."""
    return ERNIE if isinstance(task, LinkedTaskConfig) and task.graph is not None else {}


def length(kind: str) -> int:
    """Tokens of a row at most."""
    return int(getattr(facts(kind), "LENGTH", LENGTH))


def config(name: str, settings: dict[str, Any]) -> TaskConfig:
    made: TaskConfig = registry.config("tasks", name).model_validate(
        {"name": name} | {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    )
    return made


def encoded(
    kind: str, settings: dict[str, Any], tokenizer: Tokenizer, folder: Path, rows: int = 40, **changes: Any
) -> Split:
    """Rows of a kind, as finetune stores them."""
    rng = np.random.default_rng(0)
    made = [facts(kind).row(rng, WORDS, settings) for _ in range(rows)]
    objective = build(kind, settings, tokenizer, **changes)
    numbered = [Row(f"row {i}", row) for i, row in enumerate(made)]
    assert objective.encode(numbered, tokenizer, folder / "train", labelled=True) == rows
    return Split(folder / "train")


def build(
    kind: str, settings: dict[str, Any], tokenizer: Tokenizer, seed: int = 0, **changes: Any
) -> TaskObjective:
    """A task over a tiny model, random weights from `seed`."""
    torch.manual_seed(seed)
    task = config(kind, settings)
    tiny, words = model(kind, **(entity_keys(task) | changes)), vocabulary(tokenizer)
    if tiny.kind == "decoder" and task.frames_texts:
        words = replace(words, template=RowTemplate.read(tokenizer.content))
    made = task.build(tiny, words, 0.0)
    made.knowledge = task.entity_table()
    return made


def mentions(text: str, words: tuple[str, ...]) -> list[list[Any]]:
    """Every word of a text that names an entity, as rows have it; some are not in the graph."""
    found, at = [], 0
    for word in text.split(" "):
        if word in words[1:]:
            found.append([word, at, at + len(word)])
        at += len(word) + 1
    return found


@cache
def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """What a tokenizer knows, found once."""
    return Vocabulary.of(tokenizer)


def batches(
    objective: TaskObjective, rows: TextPairDataset, seed: int = 0, steps: int = 20, **cut: int
) -> LengthBucketedBatches:
    return LengthBucketedBatches(rows, objective.collate, batch=8, steps=steps, seed=seed, **cut)


def all_rows(objective: TaskObjective, rows: TextPairDataset, size: int) -> list[Batch]:
    source = SequentialBatches(rows, objective.collate, batch=size)
    return [batch for n in range(len(source)) for batch in source.get(n)]
