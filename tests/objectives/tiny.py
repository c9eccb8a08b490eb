"""A store, a vocabulary and nets small enough to try every objective in seconds."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from nlptool import registry
from nlptool.data.batches import Batch, Batches, Stage
from nlptool.data.vocabulary import Vocabulary
from nlptool.objectives.base import Objective
from nlptool.text.store import DTYPES, Split, SplitWriter

SIZE = 60
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4, "eos": 5}
LENGTH = 24

# Ids come in pairs of the same character classes: even pairs begin with a space, odd ones continue a word.
CONTINUES = np.arange(SIZE) // 2 % 2
VOCABULARY = Vocabulary(SIZE, SPECIAL, (1 + CONTINUES).astype(np.int8), np.full(SIZE, 2, np.int8))


def facts(name: str) -> ModuleType:
    """What must be known of an objective to try it: facts/NAME.py."""
    return import_module(f"facts.{name}")


def twin(ids: np.ndarray) -> np.ndarray:
    """The other id of each pair."""
    return ids ^ 1


def store(folder: Path) -> Split:
    """40 documents of 1 to 6 sentences of random ordinary tokens."""
    rng = np.random.default_rng(0)
    writer = SplitWriter(folder / "train", DTYPES[8])
    for _ in range(40):
        lengths = rng.integers(2, 9, rng.integers(1, 7)).astype(np.int32)
        writer.add(rng.integers(6, SIZE, lengths.sum()), lengths)
    writer.close()
    return Split(folder / "train")


def build(name: str, settings: dict[str, Any], seed: int = 0) -> Objective:
    """An objective over a tiny net without dropout, random weights from `seed`; its teacher is always the same."""
    config = registry.config("objectives", name).model_validate({"name": name, **settings})
    blocks = [facts(name).MODEL, *([facts(name).TEACHER] if hasattr(facts(name), "TEACHER") else [])]
    model, *teacher = [
        registry.config("models", block["name"]).model_validate(
            {"dropout": 0.0, "attention_dropout": 0.0} | block
        )
        for block in blocks
    ]
    torch.manual_seed(seed)
    made = config.build(model, VOCABULARY, *teacher)
    if made.teacher is not None:
        torch.manual_seed(facts(name).TEACHER_SEED)
        made.teacher.load_state_dict(config.build(model, VOCABULARY, *teacher).teacher.state_dict())
    return made


def batches(objective: Objective, split: Split, rows: int = 8, seed: int = 0, **cut: int) -> Batches:
    """Numbered batches of `rows` rows, cut for ranks and micro-batches."""
    return Batches(
        [Stage(0, rows, objective.examples(split, LENGTH, seed))], objective.collate, seed=seed, **cut
    )


def rows_of(batch: Batch) -> list[dict[str, list[Any]]]:
    """Each row of a batch by itself."""
    size = len(batch["ids"])
    return [{name: t[row].tolist() for name, t in batch.tensors.items()} for row in range(size)]
