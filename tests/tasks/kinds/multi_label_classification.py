"""What the conformance suite needs to know of multi-label classification."""

import math

import numpy as np
from kinds.kagnet import GRAPH, VECTORS

from nlptool.tasks.base import LabelledDataset, TaskObjective

LABELS = ["comedy", "drama", "war"]
VARIANTS = {
    "lists": {"inputs": ["a"], "labels": LABELS, "metrics": ["micro_f1", "macro_f1", "subset_accuracy"]},
    "linked-by-labels": {
        "inputs": ["a"],
        "labels": LABELS,
        "metrics": ["micro_f1"],
        "graph": GRAPH,
        "entity_embeddings": VECTORS,
    },
    "cells": {"inputs": ["a", "b"], "labels": LABELS, "label_separator": "|", "metrics": ["micro_f1"]},
}
AT_INIT = {"binary_cross_entropy": lambda objective, batch: math.log(2)}
HEAD = "classifier.out.weight"


def row(rng: np.random.Generator, words: tuple[str, ...], settings: dict) -> dict:
    """A row of 4 to 12 words a text and none to all of the labels."""
    texts = {name: " ".join(rng.choice(words, rng.integers(4, 13))) for name in ("a", "b")}
    given = rng.choice(LABELS, rng.integers(0, 4), replace=False).tolist()
    return texts | {"labels": "|".join(given) if "label_separator" in settings else given}


def right(objective: TaskObjective, rows: LabelledDataset) -> np.ndarray:
    """Logits of a model that is sure of what is right."""
    return 40.0 * rows.labels - 20.0
