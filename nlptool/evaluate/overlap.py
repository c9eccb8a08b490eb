"""ROUGE and BLEU, by the packages whose figures papers report: rouge-score and sacrebleu.

rouge-score is Google's translation of ROUGE-1.5.5 (Lin 2004) to Python, here with Porter's stemmer; sacrebleu
(Post 2018) has its own tokenisation (13a), so that figures of different papers are of one kind.
"""

from collections.abc import Sequence
from typing import Any

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
