"""Charts of an answer's evidence."""

import pytest

pytest.importorskip("matplotlib")

from nlptool.report import drawing, explanations


def test_a_long_question_is_cut_before_its_choice_and_the_probability_stays():
    question = "Where might somebody who has forgotten his purse have to pay for a shopping bag now?"
    answer = {
        "statements": {"A": f"{question} supermarket", "B": "짧은 질문? 집"},
        "paths": {"A": [{"path": "bag — " * 20 + "supermarket", "attention": 0.5}], "B": []},
        "scores": {"A": 0.439, "B": 0.1},
        "label": "A",
        "prediction": "A",
    }
    look = drawing.Style.of(["run"], explanations.texts(answer))
    picture = drawing.svg(explanations.draw(answer, look), look, letters=True)
    assert "Where might" in picture
    assert "supermarket  (43.9 %, right, answered)" in picture
    assert "짧은 질문? 집  (10.0 %)" in picture
    assert question not in picture
