"""The metrics of generated text by name, and the packages that some of them need. Nothing heavy at import."""

from collections.abc import Sequence
from importlib.util import find_spec

from nlptool.errors import UsageError
from nlptool.evaluation.metrics import decanlp, qa, text_overlap
from nlptool.evaluation.metrics.text_overlap import Tokenize
from nlptool.extras import install

PACKAGES = {
    **dict.fromkeys(text_overlap.ROUGE, ("rouge-score", "rouge_score")),
    **dict.fromkeys(text_overlap.BLEU, ("sacrebleu", "sacrebleu")),
}
"""The package of a metric that nlptool does not compute itself, and its name in Python."""

TOKENIZERS = {
    "ko-mecab": ("mecab_ko", "sacrebleu[ko]"),
    "ja-mecab": ("MeCab", "sacrebleu[ja]"),
    "flores200": ("sentencepiece", "sentencepiece"),
}
"""What a tokenizer of sacrebleu needs: its module, and how to install it."""


def metrics(tokenize: Tokenize = text_overlap.DEFAULT) -> dict[str, qa.Metric]:
    """Those of `qa`, `text_overlap` and `decanlp`. tokenize: how ROUGE and BLEU split texts into words."""
    return qa.METRICS | text_overlap.metrics(tokenize) | decanlp.METRICS


METRICS = metrics()


def compute(
    names: Sequence[str],
    predictions: Sequence[str],
    references: qa.References,
    tokenize: Tokenize = text_overlap.DEFAULT,
) -> dict[str, float]:
    """Metrics of generated texts, [N], against the references of each."""
    known = metrics(tokenize)
    return {name: known[name](predictions, references) for name in names}


def require_packages(names: Sequence[str], tokenize: Tokenize = text_overlap.DEFAULT) -> None:
    """Raise UsageError where the package of a metric or of its tokenizer is missing."""
    missing: dict[str, list[str]] = {}
    for name in (name for name in names if name in PACKAGES):
        package, module = PACKAGES[name]
        if find_spec(module) is None:
            missing.setdefault(package, []).append(name)
    for package, wanting in missing.items():
        raise UsageError(f"{', '.join(wanting)}: {package} is not installed", hint=install("eval"))
    module, package = TOKENIZERS.get(tokenize.bleu, ("", ""))
    if module and find_spec(module) is None:
        raise UsageError(
            f"tokenize.bleu: {tokenize.bleu} needs {module}, which is not installed",
            hint=f"pip install '{package}'; or tokenize.bleu=char, which needs nothing",
        )
