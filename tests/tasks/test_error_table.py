"""The wrong answers that a model was surest of, as a table."""

from nlptool.tasks.error_analysis import confident_errors, error_table


def test_sets_of_labels_and_numbers_are_shown_as_a_person_writes_them():
    answers = [
        {"prediction": [], "label": ["경제", "정치"], "scores": {"경제": 0.4, "정치": 0.3}},
        {"prediction": ["정치"], "label": ["정치"], "scores": {"정치": 0.9}},
    ]
    columns, rows = error_table(confident_errors(answers), {0: "나라"})
    assert columns == ["row", "label", "prediction", "confidence", "text"]
    assert rows == [["0", "경제, 정치", "none", "0.4000", "나라"]]
    columns, rows = error_table(confident_errors([{"prediction": 2.5, "label": 3.0699999}]), {})
    assert rows == [["0", "3.070", "2.500", ""]]
