"""What the conformance suite needs to know of relations between two marked mentions."""

import math

import numpy as np

VARIANTS = {
    "no-relation": {
        "labels": ["no_relation", "per:title", "org:founded"],
        "no_relation": "no_relation",
        "metrics": ["micro_f1", "micro_precision", "micro_recall", "macro_precision", "macro_recall"],
    },
}
AT_INIT = {"cross_entropy": lambda objective, batch: math.log(objective.num_outputs)}
HEAD = "classifier.out.weight"


def row(rng: np.random.Generator, words: tuple[str, ...], settings: dict) -> dict:
    """A text of 2 to 8 words, two of which are head and tail, and a random relation."""
    chosen = rng.choice(words, rng.integers(2, 9)).tolist()
    head, tail = rng.choice(len(chosen), 2, replace=False).tolist()
    ents = []
    for at in (head, tail):
        begin = len(" ".join([*chosen[:at], ""]))
        ents.append([f"Q{words.index(chosen[at])}", begin, begin + len(chosen[at]), 1.0])
    return {"text": " ".join(chosen), "ents": ents, "label": int(rng.integers(len(settings["labels"])))}
