"""What the conformance suite needs to know of tagging."""

import math

import numpy as np

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
VARIANTS = {
    "words": {"labels": LABELS, "metrics": ["entity_f1", "entity_macro_f1"]},
    "characters": {
        "labels": LABELS[::-1],
        "characters": True,
        "metrics": ["character_macro_f1", "entity_macro_f1"],
    },
}
AT_INIT = {"cross_entropy": lambda objective, batch: math.log(objective.num_outputs)}
HEAD = "tagger.out.weight"


def row(rng: np.random.Generator, words: tuple[str, ...], settings: dict) -> dict:
    """One to four words, or their characters with spaces between; half of all words are an entity each."""
    chosen = rng.choice(words, rng.integers(1, 5)).tolist()
    tags = [("O", "B-PER", "O", "B-LOC")[words.index(word) % 4] for word in chosen]
    if not settings.get("characters"):
        return {"tokens": chosen, "ner_tags": tags}
    named: list[str] = []
    for word, tag in zip(chosen, tags, strict=True):
        named += ["O"] * bool(named) + [tag] + [tag.replace("B-", "I-")] * (len(word) - 1)
    return {"tokens": list(" ".join(chosen)), "ner_tags": [settings["labels"].index(tag) for tag in named]}
