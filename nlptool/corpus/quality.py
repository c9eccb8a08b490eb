"""GPT-3's quality classifier (Brown et al. 2020, appendix A): logistic regression on hashed words, then sampling.

It separates good texts, such as WebText and books, from unfiltered ones. A document of score s is kept with
probability (2 - s)^-alpha, the probability that numpy's pareto(alpha) exceeds 1 - s, so some documents with low
scores are kept. Words are those of Spark's Tokenizer (lower case, split at white space), hashed into bins as by its
HashingTF. Two departures: the counts of a text are normalised to length 1, so that a score does not depend on the
length; and both classes have the same weight, whatever their sizes.
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.atomic_files import read_json, write_json
from nlptool.corpus import logistic_regression
from nlptool.corpus.config import Quality
from nlptool.corpus.document import Document, Dropped, Figure, Figures, uniform
from nlptool.corpus.logistic_regression import Rows
from nlptool.errors import DataError
from nlptool.manifests import atomic_folder, verify_manifest, write_manifest
from nlptool.text.word_hashes import word_hashes

WEIGHTS, FACTS = "weights.npy", "quality.json"
HELD_OUT = 0.1  # share of the samples held out for evaluation
READ = 10  # documents read for each one sampled
FEWEST = 20  # smallest number of documents of a class


class Classifier(NamedTuple):
    """Weights of the hashed words."""

    weights: NDArray[np.float32]
    intercept: float
    facts: dict[str, Any]
    """What it was trained on, and its accuracy on held-out samples."""

    def score(self, text: str) -> float:
        """From 0, like the negative samples, to 1, like the positive ones."""
        columns, values = features(text, len(self.weights))
        logit = float((self.weights[columns] * values).sum()) + self.intercept
        return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def features(text: str, width: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The bins of a text's words and their counts, normalised to length 1."""
    hashes = word_hashes(text.lower().split()) % np.uint64(width)
    columns, counts = np.unique(hashes.astype(np.int64), return_counts=True)
    return columns, counts / max(math.sqrt(float((counts.astype(np.float64) ** 2).sum())), 1.0)


class Block:
    """Records each document's score, and drops documents by it."""

    name = "quality"

    def __init__(self, config: Quality, classifier: Classifier | None, seed: int) -> None:
        self._config, self._classifier, self._seed = config, classifier, seed

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document with its score, or the reason why it is dropped; unchanged if its source is not scored."""
        if self._config.sources and document.source not in self._config.sources:
            return document
        assert self._classifier is not None  # a dry run has no classifier, and no documents either
        score = self._classifier.score(document.text)
        least, alpha = self._config.min_score, self._config.alpha
        if least is not None and (
            dropped := seen.first_failure(iter([Figure("quality.min_score", score, least, None)]))
        ):
            return dropped
        if alpha is not None:
            seen.first_failure(iter([Figure("quality.alpha", score, None, None)]))
            if uniform(self._seed, document.text, b"quality") >= (2 - score) ** -alpha:
                return Dropped("quality.alpha", score, None)
        return document._replace(facts=document.facts | {"quality_score": round(score, 4)})


def train(positive: Iterable[str], negative: Iterable[str], config: Quality, seed: int) -> Classifier:
    """Train a classifier of texts. Raises DataError where there are too few."""
    drawn = [
        _drawn(texts, config.samples, seed, key)
        for texts, key in ((positive, "positive"), (negative, "negative"))
    ]
    texts = [text for one in drawn for text in one]
    labels = np.repeat([True, False], [len(one) for one in drawn])
    held = np.array([uniform(seed, text, b"held out") < HELD_OUT for text in texts])
    found = [features(text, config.features) for text in texts]
    chosen = np.flatnonzero(~held)
    weights, intercept = logistic_regression.fit(
        _rows([found[at] for at in chosen.tolist()]), labels[chosen], config.features
    )
    classifier = Classifier(weights.astype(np.float32), intercept, {})
    scores = np.array([classifier.score(texts[at]) for at in np.flatnonzero(held).tolist()])
    facts = {
        "positive_samples": len(drawn[0]),
        "negative_samples": len(drawn[1]),
        "heldout_samples": int(held.sum()),
        "heldout_accuracy": _accuracy(scores, labels[held]),
        "heldout_roc_auc": roc_auc(scores, labels[held]),
    }
    return classifier._replace(facts=facts)


def _drawn(texts: Iterable[str], count: int, seed: int, key: str) -> list[str]:
    """The texts of the lowest hashes among the first ones, each once."""
    heap: list[tuple[float, str]] = []
    met: set[float] = set()
    for number, text in enumerate(texts):
        if number >= READ * count:
            break
        draw = uniform(seed, text, b"sample")
        if draw in met or not text.split():
            continue
        if len(heap) < count:
            heapq.heappush(heap, (-draw, text))
            met.add(draw)
        elif draw < -heap[0][0]:
            met.add(draw)
            met.discard(-heapq.heapreplace(heap, (-draw, text))[0])
    if len(heap) < FEWEST:
        raise DataError(
            f"quality.{key}: {len(heap)} documents with words; a classifier needs at least {FEWEST}",
            hint=f"name more files, e.g. quality.{key}.files=TEXTS",
        )
    return [text for _, text in sorted(heap, reverse=True)]


def _rows(found: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> Rows:
    lengths = np.array([len(columns) for columns, _ in found])
    starts = np.cumsum(lengths) - lengths
    return Rows(
        np.concatenate([columns for columns, _ in found]),
        np.concatenate([values for _, values in found]),
        starts.astype(np.int64),
    )


def _accuracy(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float | None:
    return float(((scores > 0.5) == labels).mean()) if len(labels) else None


def roc_auc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float | None:
    """Probability that a positive text scores above a negative one, ties counting half; None if a class is empty."""
    positive, negative = scores[labels], np.sort(scores[~labels])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.sum() / 2 / (len(positive) * len(negative)))


def save(classifier: Classifier, folder: Path) -> None:
    """Write a classifier as a folder, atomically."""
    with atomic_folder(folder) as aside:
        np.save(aside / WEIGHTS, classifier.weights)
        write_json(aside / FACTS, {"intercept": classifier.intercept, **classifier.facts})
        write_manifest(aside)


def load(folder: Path) -> Classifier:
    """The classifier of a folder. Raises DataError where there is none, or it is damaged."""
    hint = "name the folder quality/ of a corpus, or train one: quality.positive and quality.negative"
    if not (folder / FACTS).is_file():
        raise DataError(f"{folder}: no quality classifier", hint=hint)
    if fault := verify_manifest(folder):
        raise DataError(f"{folder}: {fault}", hint=hint)
    facts = read_json(folder / FACTS, dict, hint)
    return Classifier(np.load(folder / WEIGHTS, allow_pickle=False), float(facts.pop("intercept")), facts)
