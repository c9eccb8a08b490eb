"""Answers against references: figures by hand, and properties for any texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlptool.evaluation.metrics import generated_text, qa

WORDS = st.sampled_from(
    ["the", "The", "cat", "Cat,", "dog", "an", "U.S.", "'", "서울의", "《책》", "_", "42"]
)
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)
QUESTIONS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=4)), min_size=1, max_size=8)
SHARES = [name for name in qa.METRICS if not name.startswith("quac")]


def of(name: str, prediction: str, *references: str) -> float:
    return generated_text.compute([name], [prediction], [references])[name]


def test_squad_forgets_case_punctuation_articles_and_spaces():
    assert qa.normalise("  The U.S. --  an Apple's\tcore, the theatre ") == "us apples core theatre"


def test_f1_of_words_by_hand():
    """2 of 3 predicted words, of 4 expected: precision 2/3, recall 1/2."""
    assert of("squad_f1", "the black cat sat", "A cat sat there again") == pytest.approx(4 / 7)
    assert of("squad_f1", "cat cat", "cat dog") == pytest.approx(1 / 2), (
        "a word counts as often as both have it"
    )


def test_the_nearest_reference_counts():
    assert of("squad_exact", "The cat.", "dog", "cat") == 1.0
    assert of("squad_f1", "black cat", "dog", "white cat", "a black dog") == pytest.approx(1 / 2)


def test_an_empty_answer_is_right_for_squad_2_only_where_there_is_none():
    assert generated_text.compute(["squad2_exact", "squad2_f1"], ["", ""], [[], ["cat"]]) == {
        "squad2_exact": 0.5,
        "squad2_f1": 0.5,
    }
    assert of("squad2_f1", "the", ".") == 1.0, "neither says anything"
    assert of("squad_f1", "the", ".") == 0.0, "evaluate-v1.1.py finds nothing in common"


def test_squad_2_tells_questions_with_an_answer_from_those_without():
    found = qa.squad2(["cat", "", "dog", "dog"], [["cat"], ["cat"], [], ["big dog"]])
    assert found == pytest.approx(
        {
            "exact": 1 / 4,
            "f1": (1 + 2 / 3) / 4,
            "has_answer_exact": 1 / 3,
            "has_answer_f1": (1 + 2 / 3) / 3,
            "no_answer_exact": 0.0,
            "no_answer_f1": 0.0,
        }
    )


def test_the_best_threshold_is_sought_in_the_order_of_the_odds():
    """In order of their odds: right +1, wrong answer where there is none -1, right +1, F1 of 1/2."""
    predictions, references = ["cat", "dog", "cat", "a cat"], [["cat"], [], ["cat"], ["black cat lay"]]
    odds = [-3.0, -2.0, -1.0, 4.0]
    found = qa.squad2(predictions, references, odds)
    assert found["best_exact"] == 2 / 4
    assert found["best_exact_threshold"] == -3.0, "the first that reaches it"
    assert found["best_f1"] == (1 - 1 + 1 + 1 + 1 / 2) / 4
    assert found["best_f1_threshold"] == 4.0
    assert found["exact"] == 2 / 4, "the last one has more than 1, so counts as not answered"
    assert qa.squad2(predictions, references, odds, threshold=-2.5)["exact"] == 2 / 4


def test_trivia_takes_punctuation_for_spaces():
    assert of("triviaqa_exact", "Jean_Paul Gaultier", "jean-paul gaultier") == 1.0
    assert of("squad_exact", "Jean Paul Gaultier", "jean-paul gaultier") == 0.0
    assert of("triviaqa_f1", "rock `n´ roll", "Rock'n'roll!") == 1.0  # noqa: RUF001


def test_korquad_counts_characters():
    """수도 서울 has 4 characters, 서울시 3, 2 of them the same."""
    assert of("korquad_f1", "수도 서울", "서울시") == pytest.approx(2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3))
    assert of("korquad_exact", "《난중일기》", "'난중일기'") == 1.0
    assert of("korquad_exact", "The 책", "책") == 0.0, "articles are kept"


def test_coqa_leaves_each_reference_out_in_turn():
    """Without the first reference nothing is right, without another one the first is."""
    assert of("coqa_exact", "white", "White.", "grey", "blue", "a dark blue") == 3 / 4
    assert of("coqa_exact", "white", "white") == 1.0
    assert of("coqa_f1", "dark blue", "blue", "dark blue") == pytest.approx((1 + 2 / 3) / 2)


def test_quac_has_no_answer_where_half_of_the_people_say_so():
    assert of("quac_f1", "CANNOTANSWER", "CANNOTANSWER", "in 1990") == 1.0
    assert of("quac_f1", "in 1990", "CANNOTANSWER", "in 1990", "in 1990") == 1.0
    assert of("quac_f1", "CANNOTANSWER", "in 1990", "in 1990") == 0.0


def test_quac_leaves_out_what_people_do_not_agree_on():
    agreed, not_agreed = ["in 1990", "1990"], ["he sang", "in Paris"]
    assert qa.quac_f1(["in 1990", "nonsense"], [agreed, not_agreed]) == pytest.approx((1 + 2 / 3) / 2)


def test_human_equivalence_asks_for_the_f1_of_people():
    references = ["in 1990", "1990"]  # each against the other: 2/3
    assert qa.quac_heq(["in 1990", "it was in 1990", "1989"], [references] * 3) == 1 / 3


@given(QUESTIONS)
def test_a_reference_itself_is_right_and_every_figure_a_share(questions: list[tuple[str, list[str]]]):
    predictions, references = zip(*questions, strict=True)
    assert all(0 <= share <= 1 for share in generated_text.compute(SHARES, predictions, references).values())
    firsts = [right[0] for right in references]
    exact = [name for name in SHARES if "exact" in name and not name.startswith(("coqa", "squad2"))]
    assert set(generated_text.compute(exact, firsts, references).values()) == {1.0}


@given(QUESTIONS, st.lists(st.integers(-3, 3), min_size=8, max_size=8))
def test_the_best_threshold_is_at_least_as_good_as_answering_nothing(
    questions: list[tuple[str, list[str]]], odds: list[int]
):
    predictions, references = zip(*questions, strict=True)
    found = qa.squad2(predictions, references, [float(odd) for odd in odds[: len(predictions)]])
    nothing = sum(not right for right in references) / len(references)
    assert nothing <= found["best_exact"] <= found["best_f1"] + 1e-12


@given(TEXTS)
def test_normal_forms_stay_as_they_are(text: str):
    for normalise in (qa.normalise, qa.normalise_trivia, qa.normalise_korean):
        assert normalise(normalise(text)) == normalise(text)
