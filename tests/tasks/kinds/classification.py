"""What the conformance suite needs to know of classification and regression."""

import math

import numpy as np
import small
from kinds.kagnet import GRAPH, VECTORS

PAIR = {"inputs": ["a", "b"]}
VARIANTS = {
    "classes-of-one-text": {"inputs": ["a"], "labels": ["no", "yes"], "metrics": ["accuracy", "f1"]},
    "classes-of-two-texts": PAIR | {"labels": ["x", "y", "z"], "metrics": ["accuracy"]},
    "numbers-of-two-texts": PAIR | {"metrics": ["pearson", "spearman"]},
    "linked": PAIR
    | {
        "labels": ["x", "y", "z"],
        "metrics": ["accuracy"],
        "graph": GRAPH,
        "entity_embeddings": VECTORS,
        "links": {"columns": ("in_a", "in_b")},
    },
}
PLAIN = {name: settings for name, settings in VARIANTS.items() if "graph" not in settings}
"""Those that transformers has a class for."""
AT_INIT = {"cross_entropy": lambda objective, batch: math.log(objective.num_outputs), "squared_error": None}
"""Loss before anything is learnt; None: it depends on the labels."""
HEAD = "classifier.out.weight"


def row(rng: np.random.Generator, words: tuple[str, ...], settings: dict) -> dict:
    """A row of 1 to 12 words a text and a random label."""
    texts = {name: " ".join(rng.choice(words, rng.integers(1, 13))) for name in ("a", "b")}
    classes = settings.get("labels")
    if "graph" in settings:
        texts |= {f"in_{name}": small.mentions(texts[name], words) for name in ("a", "b")}
    return texts | {"label": int(rng.integers(len(classes))) if classes else float(rng.uniform(0, 5))}
