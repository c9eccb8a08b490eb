"""ROUGE and BLEU on worked cases; the packages are checked by their own tests."""

import pytest

from nlptool.errors import UsageError
from nlptool.evaluate import metrics, overlap

rouge_score = pytest.importorskip("rouge_score")
sacrebleu = pytest.importorskip("sacrebleu")


def of(name: str, prediction: str, *references: str) -> float:
    return metrics.answer_scores([name], [prediction], [references])[name]


def test_rouge_by_hand():
    """5 words each, 4 the same; 2 pairs the same of 4; the longest common subsequence has 4."""
    said, right = "police killed the gunman here", "police kill the gunman there"
    assert of("rouge1", said, right) == pytest.approx(4 / 5), "killed and kill have the same stem"
    assert of("rouge2", said, right) == pytest.approx(3 / 4)
    assert of("rougeL", "the gunman police killed here", right) == pytest.approx(2 / 5)


def test_decas_rouge_goes_by_sentence():
    """Two sentences the other way round: words and pairs but one agree, and so does each sentence with one."""
    said, right = "dogs bark. cats sleep", "cats sleep. dogs bark."
    assert of("rouge", said, right) == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert of("rougeL", said, right) == pytest.approx(1 / 2)


def test_the_best_reference_counts_for_rouge():
    assert of("rouge1", "cats sleep", "dogs bark", "cats sleep") == 1.0


def test_bleu_by_hand():
    """Of 6 words 5 are right, 3 of 5 pairs, 1 of 4 triples; with four in a row smoothed: 1 / (2 * 3)."""
    said, right = "the cat sat on a mat", "the cat sat at a mat"
    assert of("bleu", said, right) == pytest.approx((5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25)
    assert of("bleu", "a b c d", "a b c d e f g h") == pytest.approx(2.718281828 ** (1 - 8 / 4)), "too short"


def test_case_counts_for_bleu_unless_asked():
    assert of("bleu_lower", "The Cat sat down now", "the cat sat down now") == pytest.approx(1.0)
    assert of("bleu", "The Cat sat down now", "the cat sat down now") < 0.9


def test_questions_may_have_different_numbers_of_references():
    said = ["the cat sat on it", "dogs like to bark"]
    assert overlap.bleu(said, [[said[0], "no"], [said[1]]]) == pytest.approx(1.0)


def test_the_error_of_bleu_is_what_leaving_out_each_text_does():
    said = ["the cat sat on a mat", "dogs like to bark at night", "a bell rang in the town", "it is cold"]
    right = [
        ["the cat sat at a mat"],
        ["dogs like to bark"],
        ["the bell rang in town", "a bell rang"],
        ["it was cold"],
    ]
    value, error = overlap.bleu_and_error(said, right)
    assert value == pytest.approx(overlap.bleu(said, right))
    without = [overlap.bleu(said[:i] + said[i + 1 :], right[:i] + right[i + 1 :]) for i in range(4)]
    middle = sum(without) / 4
    assert error == pytest.approx((3 / 4 * sum((w - middle) ** 2 for w in without)) ** 0.5)
    assert overlap.bleu_and_error(said[:1], right[:1])[1] is None


@pytest.mark.parametrize(("name", "package"), [("rouge1", "rouge-score"), ("bleu_lower", "sacrebleu")])
def test_a_missing_package_is_named(name: str, package: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics, "find_spec", lambda module: None)
    metrics.require(("squad_f1", "joint_goal"))
    with pytest.raises(UsageError, match=f"{name}: {package} is not installed") as told:
        metrics.require((name,))
    assert "nlptool[eval]" in told.value.hint
