"""The table of the errors with the highest confidence."""

from nlptool.tasks.error_analysis import ConfusionMatrix, confident_errors, error_table


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


def test_long_names_of_classes_are_numbered_so_that_a_confusion_matrix_fits_a_terminal():
    counts = [[3, 1], [0, 2]]
    assert ConfusionMatrix(("good", "bad"), counts).table() == (
        ["label \\ prediction", "good", "bad"],
        [["good", "3", "1"], ["bad", "0", "2"]],
    )
    first, second = "treasury and finance and", "아주 긍정적인 영화 감상평"
    columns, rows = ConfusionMatrix((first, second), counts).table()
    assert columns == ["label \\ prediction", "1", "2"]
    assert rows == [[f"1 {first}", "3", "1"], [f"2 {second}", "0", "2"]]
