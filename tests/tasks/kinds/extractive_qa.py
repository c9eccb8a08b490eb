"""What the conformance suite needs to know of questions whose answer is a stretch of a text."""

import numpy as np

VARIANTS = {
    "answerable": {"metrics": ["squad_f1", "squad_exact"]},
    "unanswerable": {"metrics": ["squad2_best_f1", "squad2_best_exact"], "unanswerable": True},
}
AT_INIT = {"cross_entropy": lambda objective, batch: batch["lengths"].double().log().mean().item()}
HEAD = "span.out.weight"


def row(rng: np.random.Generator, words: tuple[str, ...], settings: dict) -> dict:
    """A question of 1 to 4 words on a text of 5 to 40, and an answer of 1 to 3 words of it, or none."""
    said = [word for word in words if word not in ("a", "the")]  # which SQuAD's figures do not see
    text = rng.choice(said, rng.integers(5, 41)).tolist()
    first = int(rng.integers(len(text)))
    answer = " ".join(text[first : first + int(rng.integers(1, 4))])
    start = len(" ".join([*text[:first], ""]))
    answers = {"text": [answer], "answer_start": [start]}
    if settings.get("unanswerable") and rng.random() < 0.4:
        answers = {"text": [], "answer_start": []}
    asked = " ".join(rng.choice(words, rng.integers(1, 5)))
    return {
        "id": str(rng.integers(1 << 40)),
        "question": asked,
        "context": " ".join(text),
        "answers": answers,
    }
