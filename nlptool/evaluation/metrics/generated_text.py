"""The metrics of generated text by name: those of `qa`, `text_overlap` and `decanlp`. Nothing heavy at import."""

from collections.abc import Sequence

from nlptool.evaluation.metrics import decanlp, qa, text_overlap
from nlptool.evaluation.metrics.text_overlap import Tokenize


def metrics(tokenize: Tokenize = text_overlap.DEFAULT) -> dict[str, qa.Metric]:
    """All of them. tokenize: what ROUGE and BLEU take for words."""
    return qa.METRICS | text_overlap.metrics(tokenize) | decanlp.METRICS


METRICS = metrics()


def compute(
    names: Sequence[str],
    predictions: Sequence[str],
    references: qa.References,
    tokenize: Tokenize = text_overlap.DEFAULT,
) -> dict[str, float]:
    """These metrics of generated texts, [N], against the reference texts of each."""
    known = metrics(tokenize)
    return {name: known[name](predictions, references) for name in names}
