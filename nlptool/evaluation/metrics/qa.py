"""Metrics of question answering, as the official scripts compute them.

| metric              | script                                                                                  |
|---------------------|-----------------------------------------------------------------------------------------|
| squad_*             | SQuAD's evaluate-v1.1.py (Rajpurkar et al. 2016); also used for Natural Questions |
| squad2_*            | SQuAD's evaluate-v2.0.py (Rajpurkar et al. 2018): a question may have no answer         |
| korquad_*           | KorQuAD 1.0's evaluate-v1.0.py (Lim et al. 2019): F1 of characters                      |
| triviaqa_*          | TriviaQA's triviaqa_evaluation.py (Joshi et al. 2017)                                   |
| coqa_*              | CoQA's evaluate-v1.0.py (Reddy et al. 2019): one reference is left out at a time        |
| quac_*              | QuAC's scorer.py (Choi et al. 2018): questions without human agreement are left out |

A metric takes predictions, [N], with the references of each, and returns a share from 0 to 1 (the scripts use per
cent). Where no reference has any text, an empty prediction scores 1, any other 0.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

References = Sequence[Sequence[str]]
"""The reference answers of each prediction."""
Metric = Callable[[Sequence[str], References], float]
Score = Callable[[str, str], float]
"""Score of a prediction against one reference."""

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
TRIVIA = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))  # noqa: RUF001
KOREAN = str.maketrans(dict.fromkeys("'\"《》<>〈〉()‘’", " "))  # noqa: RUF001
CANNOT = "CANNOTANSWER"
AGREED = 0.4
"""QuAC leaves out questions whose references agree less than this."""


def normalise(text: str) -> str:
    """SQuAD's normalisation: lower case, no punctuation, no articles, single spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def normalise_trivia(text: str) -> str:
    """TriviaQA's: as SQuAD's, but punctuation becomes a space."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(TRIVIA)).split())


def normalise_korean(text: str) -> str:
    """KorQuAD's: quotation marks and brackets become spaces, other punctuation is removed."""
    return " ".join(text.translate(KOREAN).lower().translate(PUNCTUATION).split())


def overlap(predicted: Sequence[str], expected: Sequence[str]) -> float:
    """F1 of two bags of words or characters; 0 without overlap, even if both are empty."""
    same = sum((Counter(predicted) & Counter(expected)).values())
    if not same:
        return 0.0
    precision, recall = same / len(predicted), same / len(expected)
    return 2 * precision * recall / (precision + recall)


def identical(prediction: str, reference: str) -> float:
    """1 where the texts are identical."""
    return float(prediction == reference)


def squad_exact(prediction: str, reference: str) -> float:
    """1 where the normalised texts are equal."""
    return float(normalise(prediction) == normalise(reference))


def squad_f1(prediction: str, reference: str) -> float:
    """F1 of the normalised texts' words."""
    return overlap(normalise(prediction).split(), normalise(reference).split())


def squad2_f1(prediction: str, reference: str) -> float:
    """F1 of words; 1 where neither text has any, as for an unanswerable question."""
    predicted, expected = normalise(prediction).split(), normalise(reference).split()
    return overlap(predicted, expected) if predicted or expected else 1.0


def triviaqa_exact(prediction: str, reference: str) -> float:
    """1 where the texts are equal in TriviaQA's normal form."""
    return float(normalise_trivia(prediction) == normalise_trivia(reference))


def triviaqa_f1(prediction: str, reference: str) -> float:
    """F1 of words in TriviaQA's normal form."""
    return overlap(normalise_trivia(prediction).split(), normalise_trivia(reference).split())


def korquad_exact(prediction: str, reference: str) -> float:
    """1 where the texts are equal in KorQuAD's normal form."""
    return float(normalise_korean(prediction) == normalise_korean(reference))


def korquad_f1(prediction: str, reference: str) -> float:
    """F1 of characters other than spaces, in KorQuAD's normal form."""
    predicted, expected = (normalise_korean(text).replace(" ", "") for text in (prediction, reference))
    return overlap(predicted, expected)


def best(score: Score, prediction: str, references: Sequence[str]) -> float:
    """The best score over the references."""
    return max(score(prediction, reference) for reference in references)


def best_but_one(score: Score, prediction: str, references: Sequence[str]) -> float:
    """The mean over references left out in turn of the best score against the rest, as for human performance."""
    if len(references) == 1:
        return score(prediction, references[0])
    return sum(best(score, prediction, rest) for rest in _without_each(references)) / len(references)


def empty_answer(prediction: str) -> float:
    """1 for a text without words, which is right for unanswerable questions; else 0."""
    return float(not normalise(prediction))


def mean(choose: Callable[[Score, str, Sequence[str]], float], score: Score) -> Metric:
    """The metric that averages `choose`, the score of a prediction against its references, over questions."""

    def metric(predictions: Sequence[str], references: References) -> float:
        pairs = zip(predictions, references, strict=True)
        values = [choose(score, text, right) if right else empty_answer(text) for text, right in pairs]
        return sum(values) / len(values)

    return metric


def squad2_raw(score: Score, prediction: str, references: Sequence[str]) -> float:
    """The best score; the empty text is right for unanswerable questions."""
    return best(score, prediction, [text for text in references if normalise(text)] or [""])


def squad2(
    predictions: Sequence[str],
    references: References,
    null_odds: Sequence[float] | None = None,
    threshold: float = 1.0,
) -> dict[str, float]:
    """All figures of evaluate-v2.0.py, as shares; an empty list of references: unanswerable.

    null_odds: score of "unanswerable"; a question above `threshold` counts as not answered. With them also the best
    score over thresholds, and that threshold. Figures over an empty set of questions are left out.
    """
    answerable = [bool(right) for right in references]
    found: dict[str, float] = {}
    for name, score in (("exact", squad_exact), ("f1", squad2_f1)):
        pairs = zip(predictions, references, strict=True)
        raw = [squad2_raw(score, prediction, right) for prediction, right in pairs]
        kept = raw
        if null_odds is not None:
            rows = zip(raw, answerable, null_odds, strict=True)
            kept = [float(not has) if odds > threshold else value for value, has, odds in rows]
        found[name] = sum(kept) / len(kept)
        for group, has in (("has_answer", True), ("no_answer", False)):
            values = [value for value, given in zip(kept, answerable, strict=True) if given is has]
            if values:
                found[f"{group}_{name}"] = sum(values) / len(values)
        if null_odds is not None:
            top, at = best_threshold(raw, predictions, answerable, null_odds)
            found |= {f"best_{name}": top, f"best_{name}_threshold": at}
    return found


def best_threshold(
    scores: Sequence[float],
    predictions: Sequence[str],
    answerable: Sequence[bool],
    null_odds: Sequence[float],
) -> tuple[float, float]:
    """The best mean score over thresholds of the null odds, and that threshold.

    As in evaluate-v2.0.py: starting without answers, questions are answered in the order of their null odds. So it
    may stop among equal odds, and the threshold is 0 where no answer is best.
    """
    total = highest = float(len(answerable) - sum(answerable))
    at = 0.0
    for row in sorted(range(len(scores)), key=lambda row: null_odds[row]):
        total += scores[row] if answerable[row] else -float(bool(predictions[row]))
        if total > highest:
            highest, at = total, null_odds[row]
    return highest / len(scores), at


def quac_f1(predictions: Sequence[str], references: References) -> float:
    """F1 of words, over the questions with human agreement."""
    scores = [model for model, people in _quac(predictions, references) if people >= AGREED]
    return sum(scores) / len(scores) if scores else 0.0


def quac_heq(predictions: Sequence[str], references: References) -> float:
    """HEQ-Q, human equivalence: the share of these questions whose F1 is at least the human F1."""
    equal = [model >= people for model, people in _quac(predictions, references) if people >= AGREED]
    return sum(equal) / len(equal) if equal else 0.0


def counts(metric: str, references: Sequence[str]) -> bool:
    """Whether a question counts in a metric: always, except for QuAC's, which need human agreement."""
    return not metric.startswith("quac") or _quac([""], [references])[0][1] >= AGREED


def _quac(predictions: Sequence[str], references: References) -> list[tuple[float, float]]:
    """For each question the F1 of the prediction and that of the references among themselves."""
    found = []
    for prediction, all_ in zip(predictions, references, strict=True):
        spans = [text for text in all_ if text != CANNOT]
        if not all_:
            found.append((empty_answer(prediction), 1.0))
            continue
        right = spans if len(spans) > len(all_) - len(spans) else [CANNOT]
        rests = _without_each(right) if len(right) > 1 else []
        agreement = [best(squad_f1, text, rest) for text, rest in zip(right, rests, strict=False)]
        people = sum(agreement) / len(agreement) if agreement else 1.0
        found.append((best_but_one(_quac_score, prediction, right), people))
    return found


def _quac_score(prediction: str, reference: str) -> float:
    return identical(prediction, reference) if reference == CANNOT else squad_f1(prediction, reference)


def _without_each(references: Sequence[str]) -> list[list[str]]:
    return [[*references[:place], *references[place + 1 :]] for place in range(len(references))]


METRICS: dict[str, Metric] = {
    "exact": mean(best, identical),
    "squad_exact": mean(best, squad_exact),
    "squad_f1": mean(best, squad_f1),
    "squad2_exact": mean(squad2_raw, squad_exact),
    "squad2_f1": mean(squad2_raw, squad2_f1),
    "korquad_exact": mean(best, korquad_exact),
    "korquad_f1": mean(best, korquad_f1),
    "triviaqa_exact": mean(best, triviaqa_exact),
    "triviaqa_f1": mean(best, triviaqa_f1),
    "coqa_exact": mean(best_but_one, squad_exact),
    "coqa_f1": mean(best_but_one, squad2_f1),
    "quac_f1": quac_f1,
    "quac_heq": quac_heq,
}
