"""What the conformance suite needs to know of answers that a decoder writes."""

import math

import numpy as np

from nlptool.data.batches import Batch
from nlptool.tasks.base import LabelledDataset, TaskObjective

MODEL = {"name": "gpt2", "layers": 2, "hidden": 32, "heads": 2, "max_positions": 64, "init": 0.3}
LENGTH = 60
BASE = {"metrics": ["exact", "squad_f1"], "max_new_tokens": 6}
VARIANTS = {
    "with-context": BASE | {"question": "Which {asked}?", "context": "{text}"},
    "question-alone": BASE | {"question": "{text} {asked}"},
}
AT_INIT = {"clm": lambda objective, batch: math.log(len(objective.backbone.word_embeddings))}
HEAD = "backbone.embeddings.tokens.weight"
PLACES = ("at",)


def row(rng: np.random.Generator, words: tuple[str, ...], settings: dict) -> dict:
    """A question of a word on a text of 1 to 8, and an answer of 1 or 2 words, which do not follow from it."""
    said = [word for word in words if word not in ("a", "the")]  # which SQuAD's figures do not see
    texts = {"asked": 1, "text": int(rng.integers(1, 9)), "answer": int(rng.integers(1, 3))}
    return {name: " ".join(rng.choice(said, number)) for name, number in texts.items()}


def right(objective: TaskObjective, rows: LabelledDataset) -> np.ndarray:
    """Outputs of a model that writes the tokens of each row's answer and is sure of them."""
    outputs = np.full((len(rows.labels), objective.num_outputs), -1.0)
    for number in range(len(outputs)):
        some = rows.take(np.array([number]))
        answer = some.ids[0, some.prompts[0] : some.lengths[0]]
        outputs[number, :2] = 0.0, len(answer)
        outputs[number, 2 : 2 + len(answer)] = answer
        outputs[number, 2:][outputs[number, 2:] == objective.end] = -1.0  # which is not kept
    return outputs


def distance(logits: np.ndarray, batch: Batch) -> float:
    """Share of answers that are not written as they were learnt."""
    labels, owners = batch["labels"].numpy(), batch["owner"].numpy()
    wrong = 0
    for number, outputs in enumerate(logits):
        learnt = labels[owners == number]
        written = outputs[2:][outputs[2:] >= 0]
        wrong += written.tolist() != learnt[: len(written)].tolist() or len(learnt) - len(written) > 1
    return wrong / len(logits)
