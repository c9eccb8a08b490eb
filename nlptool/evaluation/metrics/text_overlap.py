"""ROUGE and BLEU by rouge-score and sacrebleu, the packages behind published figures. Nothing heavy at import.

rouge-score is Google's translation of ROUGE-1.5.5 (Lin 2004) to Python, here with Porter's stemmer; sacrebleu (Post
2018) has its own tokenisation (13a), so that figures of different papers are comparable. Both are made for English:
rouge-score ignores other scripts, and 13a takes a Chinese sentence for one word. `Tokenize` chooses another
tokenizer.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from pydantic import Field

from nlptool.evaluation.metrics.qa import Metric, References, empty_answer
from nlptool.formatting import percent
from nlptool.recipe import RecipeBlock
from nlptool.text.config import Sentences

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum", "rouge")
BLEU = ("bleu", "bleu_lower")
AVERAGED = ("rouge1", "rouge2", "rougeLsum")
UNSEEN = 0.01
"""Share of unseen words above which a note is shown, so that a few foreign names do not cause one."""

LATIN = re.compile(r"[a-z0-9]+")
# Scripts without spaces between words: Thai to Myanmar, Khmer, kana, Han.
JOINED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
APART = re.compile(rf"[{JOINED}]|[^{JOINED}]+")
UNSPLIT = re.compile(rf"[{JOINED}\uac00-\ud7af]")  # and Hangul, whose words carry their particles


class Tokenize(RecipeBlock):
    """Tokenizers of ROUGE and BLEU."""

    rouge: Literal["default", "unicode", "char"] = Field(
        "default",
        description="default: rouge-score's, a-z and digits; unicode: words of every script, characters of those "
        "without spaces; char: letters and digits of every script",
    )
    bleu: Literal["13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "flores200"] = Field(
        "13a", description="sacrebleu's tokenizer; ko-mecab: Korean; zh: Chinese; char: characters"
    )

    def without_effect(self, metrics: Sequence[str]) -> str | None:
        """A setting for a metric that is not among these; None: there is none."""
        # a written-out recipe has the defaults, too
        chosen = {"rouge": (self.rouge != DEFAULT.rouge, ROUGE), "bleu": (self.bleu != DEFAULT.bleu, BLEU)}
        for key, (is_chosen, names) in chosen.items():
            if is_chosen and not set(names) & set(metrics):
                return f"tokenize.{key}: none of the metrics is {' or '.join(names)}"
        return None


DEFAULT = Tokenize()


def rouge(
    kinds: Sequence[str], predictions: Sequence[str], references: References, tokenize: Tokenize = DEFAULT
) -> float:
    """Mean F of kinds of ROUGE over texts, against the best reference of each.

    rouge1 words, rouge2 pairs of words, rougeL the longest common subsequence of the whole texts, rougeLsum that of
    sentences, joined (Lin 2004, section 3.2), as See et al. 2017 and Radford et al. 2019 report it.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(kinds), use_stemmer=True, tokenizer=_tokenizer(tokenize))
    total = 0.0
    for prediction, right in zip(predictions, references, strict=True):
        if not right:
            total += empty_answer(prediction)
            continue
        found = scorer.score_multi([sentence_lines(text) for text in right], sentence_lines(prediction))
        total += sum(found[kind].fmeasure for kind in kinds) / len(kinds)
    return total / len(predictions)


def bleu(
    predictions: Sequence[str],
    references: References,
    tokenize: Tokenize = DEFAULT,
    *,
    lower: bool = False,
) -> float:
    """BLEU of the whole corpus (Papineni et al. 2002), with sacrebleu's defaults. lower: ignore case."""
    import sacrebleu

    right = [texts or [""] for texts in references]
    most = max(map(len, right))
    padded = [[*texts, *[None] * (most - len(texts))] for texts in right]
    # None: a text has fewer; sacrebleu's annotations miss it
    streams: Any = list(zip(*padded, strict=True))
    hypotheses = list(predictions)
    return (
        float(sacrebleu.corpus_bleu(hypotheses, streams, lowercase=lower, tokenize=tokenize.bleu).score) / 100
    )


def bleu_and_error(
    predictions: Sequence[str], references: References, tokenize: Tokenize = DEFAULT
) -> tuple[float, float | None]:
    """BLEU and its standard error, by the jackknife (Efron and Stein 1981), leaving out each text in turn.

    BLEU's counts add up over texts, so leaving one out needs no recount.
    """
    import numpy as np
    from sacrebleu.metrics.bleu import BLEU as Scorer  # noqa: N811

    def of(counts: "np.ndarray[Any, np.dtype[np.int64]]") -> float:
        *grams, length, right = counts.tolist()
        n = len(grams) // 2
        return (
            float(Scorer.compute_bleu(grams[:n], grams[n:], length, right, smooth_method="exp").score) / 100
        )

    metric = Scorer(tokenize=tokenize.bleu)
    each = []
    for prediction, right in zip(predictions, references, strict=True):
        found = metric.corpus_score([prediction], [[text] for text in right or [""]])
        each.append([*found.counts, *found.totals, found.sys_len, found.ref_len])
    counts_NC = np.array(each)
    whole, n = counts_NC.sum(0), len(counts_NC)
    if n < 2:
        return of(whole), None
    without = np.array([of(whole - counts) for counts in counts_NC])
    return of(whole), float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def metrics(tokenize: Tokenize = DEFAULT) -> dict[str, Metric]:
    """All of them by name. `rouge` is R-AVG, the mean of ROUGE-1, ROUGE-2 and ROUGE-L of sentences.

    As in GPT-2's table (Radford et al. 2019, table 4), and decaNLP's metrics.py, which ends a sentence at every full
    stop, also in U.S. and 3.14; here `text.sentences` segments.
    """
    found: dict[str, Metric] = {
        name: partial(rouge, AVERAGED if name == "rouge" else (name,), tokenize=tokenize) for name in ROUGE
    }
    return found | {
        "bleu": partial(bleu, tokenize=tokenize),
        "bleu_lower": partial(bleu, tokenize=tokenize, lower=True),
    }


METRICS = metrics()


def remarks(names: Sequence[str], references: References, tokenize: Tokenize) -> list[str]:
    """Notes on metrics that ignore words of the references, with the setting that changes it."""
    words = [word for texts in references for text in texts for word in _words(text.lower())]
    if not words:
        return []
    found = []
    if tokenize.rouge == "default" and (shown := [name for name in names if name in ROUGE]):
        share = sum(not LATIN.fullmatch(word) for word in words) / len(words)
        if share > UNSEEN:
            found.append(
                f"{', '.join(shown)}: rouge-score reads only a-z and digits, which {percent(share, 0)} of the "
                "references' words are not; the task's tokenize: {rouge: unicode} reads every script"
            )
    if tokenize.bleu in ("13a", "intl") and (shown := [name for name in names if name in BLEU]):
        share = sum(UNSPLIT.search(word) is not None for word in words) / len(words)
        if share > UNSEEN:
            found.append(
                f"{', '.join(shown)}: {tokenize.bleu} does not split {percent(share, 0)} of the references' words, of "
                "scripts that join words; the task's tokenize: {bleu: char} splits all, zh Chinese, ko-mecab Korean, "
                "ja-mecab Japanese"
            )
    return found


def sentence_lines(text: str) -> str:
    """A sentence a line, as rouge-score expects for rougeLsum; a line end also ends a sentence."""
    from nlptool.text.sentences import segmenter

    split = segmenter(Sentences())
    return "\n".join(part.strip() for line in text.splitlines() for part in split(line) if part.strip())


def unicode_words(text: str) -> list[str]:
    """Words of every script, in lower case; for scripts without spaces, characters. For a-z the same as rouge-score."""
    words = _words(unicodedata.normalize("NFKC", text).lower())
    return [part for word in words for part in APART.findall(word)]


def characters(text: str) -> list[str]:
    """Letters and digits, in lower case."""
    return list("".join(_words(unicodedata.normalize("NFKC", text).lower())))


def _words(text: str) -> list[str]:
    """Runs of letters with their marks, as in Hindi, and digits."""
    kept = (sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in text)
    return "".join(kept).split()


def _tokenizer(tokenize: Tokenize) -> Any:
    """The tokenizer for RougeScorer; None: its own."""
    if tokenize.rouge == "default":
        return None
    if tokenize.rouge == "char":
        return _Tokenizer(characters)
    from rouge_score.tokenizers import DefaultTokenizer

    stemmed = DefaultTokenizer(use_stemmer=True).tokenize

    def words(text: str) -> list[str]:
        return [
            part for word in unicode_words(text) for part in (stemmed(word) if word.isascii() else [word])
        ]

    return _Tokenizer(words)


class _Tokenizer:
    """The tokenizer interface of RougeScorer."""

    def __init__(self, tokenize: Callable[[str], list[str]]) -> None:
        self.tokenize = tokenize
