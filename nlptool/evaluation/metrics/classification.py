"""Figures by name: of labels, as GLUE and SuperGLUE compute them (Wang et al. 2018, 2019), and of free text.

Of labels, accuracy is plain; F1 and Matthews' correlation are scikit-learn's, Pearson's and Spearman's correlation
scipy's. Those of free text are in `answers`, `overlap` and `deca`.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from nlptool.errors import UsageError
from nlptool.evaluation.metrics import decanlp, qa, text_overlap

Numbers = NDArray[np.float64]


def accuracy(decided: Numbers, labels: Numbers) -> float:
    """Share of rows that got their label."""
    return float((decided == labels).mean())


def f1(decided: Numbers, labels: Numbers) -> float:
    """Of the second of two classes, as for MRPC and QQP."""
    from sklearn import metrics

    return float(metrics.f1_score(labels, decided, zero_division=0.0))


def macro_f1(decided: Numbers, labels: Numbers) -> float:
    """Mean over the classes, as for CB."""
    from sklearn import metrics

    return float(metrics.f1_score(labels, decided, average="macro", zero_division=0.0))


def matthews(decided: Numbers, labels: Numbers) -> float:
    """Matthews' correlation coefficient, as for CoLA; 0 where all rows get one class."""
    from sklearn import metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of a single class, for which it is 0
        return float(metrics.matthews_corrcoef(labels, decided))


def pearson(decided: Numbers, labels: Numbers) -> float:
    """Pearson's correlation; 0 where either does not vary."""
    from scipy import stats

    return float(stats.pearsonr(decided, labels)[0]) if _both_vary(decided, labels) else 0.0


def spearman(decided: Numbers, labels: Numbers) -> float:
    """Spearman's rank correlation; 0 where either does not vary."""
    from scipy import stats

    return float(stats.spearmanr(decided, labels)[0]) if _both_vary(decided, labels) else 0.0


METRICS: dict[str, Callable[[Numbers, Numbers], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
}


def of_answers(tokenize: text_overlap.Tokenize = text_overlap.DEFAULT) -> dict[str, qa.Metric]:
    """Figures of free text, by name. tokenize: what ROUGE and BLEU take for words."""
    return qa.METRICS | text_overlap.metrics(tokenize) | decanlp.METRICS


ANSWERS = of_answers()

PACKAGES = {
    **dict.fromkeys(set(METRICS) - {"accuracy"}, ("scikit-learn", "sklearn")),
    **dict.fromkeys(text_overlap.ROUGE, ("rouge-score", "rouge_score")),
    **dict.fromkeys(text_overlap.BLEU, ("sacrebleu", "sacrebleu")),
}
"""What computes a figure, where that is not nlptool: the package, and its name in Python."""

SPLITTERS = {
    "ko-mecab": ("mecab_ko", "sacrebleu[ko]"),
    "ja-mecab": ("MeCab", "sacrebleu[ja]"),
    "flores200": ("sentencepiece", "sentencepiece"),
}
"""What a tokenizer of sacrebleu needs: its name in Python, and how it is installed."""


def require(names: Sequence[str], tokenize: text_overlap.Tokenize = text_overlap.DEFAULT) -> None:
    """Raise UsageError when a metric's package is missing, before anything is trained or asked."""
    missing: dict[str, list[str]] = {}
    for name in (name for name in names if name in PACKAGES):
        package, module = PACKAGES[name]
        if find_spec(module) is None:
            missing.setdefault(package, []).append(name)
    for package, wanting in missing.items():
        raise UsageError(
            f"{', '.join(wanting)}: {package} is not installed", hint="pip install 'nlptool[eval]'"
        )
    module, package = SPLITTERS.get(tokenize.bleu, ("", ""))
    if module and find_spec(module) is None:
        raise UsageError(
            f"tokenize.bleu: {tokenize.bleu} needs {module}, which is not installed",
            hint=f"pip install '{package}'; or tokenize.bleu=char, which needs nothing",
        )


def scores(names: Sequence[str], decided: Numbers, labels: Numbers) -> dict[str, float]:
    """Each metric of the labels decided on, [N], against the true ones, [N].

    Predictions that are not finite, of a net that has diverged, score 0.
    """
    if not np.isfinite(decided).all():
        return dict.fromkeys(names, 0.0)
    return {name: METRICS[name](decided, labels) for name in names}


def answer_scores(
    names: Sequence[str],
    predictions: Sequence[str],
    references: qa.References,
    tokenize: text_overlap.Tokenize = text_overlap.DEFAULT,
) -> dict[str, float]:
    """Each metric of the texts given as answers, [N], against those that would be right."""
    known = of_answers(tokenize)
    return {name: known[name](predictions, references) for name in names}


def baseline(labels: Numbers, *, classes: bool) -> float:
    """What knows only the training labels [N]: the most frequent class (the first of them), or their mean."""
    if not classes:
        return float(labels.mean())
    values, counts = np.unique(labels, return_counts=True)
    return float(values[counts.argmax()])


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter is 0 for one value."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, 0.0
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _both_vary(decided: Numbers, labels: Numbers) -> bool:
    return bool(np.ptp(decided) > 0 and np.ptp(labels) > 0)
