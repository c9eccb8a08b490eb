"""What the conformance suite needs to know of the types of a marked mention."""

import math

import numpy as np

from nlptool.tasks.base import LabelledDataset, TaskObjective

LABELS = ["person", "place", "time", "group"]
VARIANTS = {
    "any-number": {
        "labels": LABELS,
        "metrics": ["loose_micro_f1", "loose_micro_precision", "loose_macro_recall", "strict_accuracy"],
    },
}
AT_INIT = {"binary_cross_entropy": lambda objective, batch: math.log(2)}
HEAD = "classifier.out.weight"


def row(rng: np.random.Generator, words: tuple[str, ...], settings: dict) -> dict:
    """A text of 1 to 9 words, one of which is the mention, and one or two types."""
    chosen = rng.choice(words, rng.integers(1, 10)).tolist()
    at = int(rng.integers(len(chosen)))
    begin = len(" ".join([*chosen[:at], ""]))
    end = begin + len(chosen[at])
    types = rng.choice(settings["labels"], rng.integers(1, 3), replace=False).tolist()
    ents = [[f"Q{words.index(chosen[at])}", begin, end, float(rng.uniform())]]
    return {"sent": " ".join(chosen), "start": begin, "end": end, "ents": ents, "labels": types}


def right(objective: TaskObjective, rows: LabelledDataset) -> np.ndarray:
    """Logits of a model that is sure of what is right."""
    return 40.0 * rows.labels - 20.0
