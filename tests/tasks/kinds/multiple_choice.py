"""What the conformance suite needs to know of multiple choice."""

import math

import numpy as np

BASE = {"inputs": ["question"], "metrics": ["accuracy"]}
VARIANTS = {
    "two-columns": BASE | {"choices": ["a", "b"], "labels": ["a", "b"]},
    "a-list-of-three": BASE | {"choices": ["listed.text"], "labels": ["A", "B", "C"]},
}
AT_INIT = {"cross_entropy": lambda objective, batch: math.log(objective.num_outputs)}
HEAD = "chooser.out.weight"


def row(rng: np.random.Generator, words: tuple[str, ...], settings: dict) -> dict:
    """A question and choices of 1 to 8 words, and a random label."""

    def text() -> str:
        return " ".join(rng.choice(words, rng.integers(1, 9)))

    number = len(settings["labels"])
    listed = [{"label": label, "text": text()} for label in settings["labels"]]
    values = {"question": text(), "listed": listed, "label": int(rng.integers(number))}
    return values | {name: text() for name in ("a", "b")}
