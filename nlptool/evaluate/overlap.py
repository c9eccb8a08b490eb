"""ROUGE and BLEU, by the packages whose figures papers report: rouge-score and sacrebleu.

rouge-score is Google's translation of ROUGE-1.5.5 (Lin 2004) to Python, here with Porter's stemmer; sacrebleu
(Post 2018) has its own tokenisation (13a), so that figures of different papers are of one kind.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlptool.evaluate.answers import Metric, References


def rouge(kind: str) -> Metric:
    """F of ROUGE: rouge1, rouge2 (pairs of words), rougeL (longest common subsequence); the best reference counts."""

    def metric(predictions: Sequence[str], references: References) -> float:
        return _rouge((kind,), predictions, references)

    return metric


def average_rouge(predictions: Sequence[str], references: References) -> float:
    """Mean F of ROUGE-1, ROUGE-2 and ROUGE-L, the last by sentence, as decaNLP's metrics.py scores summaries.

    A sentence ends at a full stop there, also in 3.14. Its figures are those of the Perl script.
    """
    kinds = ("rouge1", "rouge2", "rougeLsum")
    split = [[_lines(text) for text in right] for right in references]
    return _rouge(kinds, [_lines(text) for text in predictions], split)


def bleu(predictions: Sequence[str], references: References) -> float:
    """BLEU of the whole corpus (Papineni et al. 2002), sacrebleu's default."""
    return _bleu(predictions, references, lower=False)


def bleu_and_error(predictions: Sequence[str], references: References) -> tuple[float, float | None]:
    """The same and its standard error, by the jackknife (Efron and Stein 1981): each text is left out in turn.

    BLEU is made of counts that add up over texts, so a text costs no second look at the others.
    """
    from sacrebleu.metrics.bleu import BLEU

    def of(counts: "np.ndarray[Any, np.dtype[np.int64]]") -> float:
        *grams, said, right = counts.tolist()
        n = len(grams) // 2
        return float(BLEU.compute_bleu(grams[:n], grams[n:], said, right, smooth_method="exp").score) / 100

    metric = BLEU()
    each = []
    for prediction, right in zip(predictions, references, strict=True):
        found = metric.corpus_score([prediction], [[text] for text in right])
        each.append([*found.counts, *found.totals, found.sys_len, found.ref_len])
    counts_NC = np.array(each)
    whole, n = counts_NC.sum(0), len(counts_NC)
    if n < 2:
        return of(whole), None
    without = np.array([of(whole - counts) for counts in counts_NC])
    return of(whole), float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def bleu_lower(predictions: Sequence[str], references: References) -> float:
    """BLEU without regard to case, as decaNLP has it."""
    return _bleu(predictions, references, lower=True)


def _rouge(kinds: tuple[str, ...], predictions: Sequence[str], references: References) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(kinds), use_stemmer=True)
    total = 0.0
    for prediction, right in zip(predictions, references, strict=True):
        found = scorer.score_multi(right, prediction)
        total += sum(found[kind].fmeasure for kind in kinds) / len(kinds)
    return total / len(predictions)


def _bleu(predictions: Sequence[str], references: References, *, lower: bool) -> float:
    import sacrebleu

    most = max(map(len, references))
    padded = [[*right, *[None] * (most - len(right))] for right in references]
    streams: Any = list(
        zip(*padded, strict=True)
    )  # None: a text has fewer; only sacrebleu's annotations lack it
    return float(sacrebleu.corpus_bleu(list(predictions), streams, lowercase=lower).score) / 100


def _lines(text: str) -> str:
    """A sentence a line."""
    return "\n".join(part.strip() for part in text.split(".") if part.strip())


METRICS: dict[str, Metric] = {
    "rouge1": rouge("rouge1"),
    "rouge2": rouge("rouge2"),
    "rougeL": rouge("rougeL"),
    "rouge": average_rouge,
    "bleu": bleu,
    "bleu_lower": bleu_lower,
}
