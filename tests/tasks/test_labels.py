"""Classes of the data's values, and errors for unknown ones."""

import math

import pytest

from nlptool.errors import DataError
from nlptool.tasks.classification.config import Config as Classify
from nlptool.tasks.config import number_of
from nlptool.tasks.extractive_qa.config import Config as Span
from nlptool.tasks.multiple_choice.config import Config as Choose
from nlptool.tasks.token_classification.config import Config as Tag
from nlptool.text.tabular import Row, is_hidden


@pytest.mark.parametrize(
    ("value", "labels", "expected"),
    [
        (1.0, "bad good", 1),
        ("1.0", "bad good", 1),
        ("0", "bad good", 0),
        (" 1 ", "bad good", 1),
        ("good", "bad good", 1),
        ("좋다", "나쁘다 좋다", 1),
        (11, "a b c d e f g h i j k l", 11),
        ("10.0", "a b c d e f g h i j k l", 10),
        (1.0, "1 2", 0),
        ("2.0", "1 2", 1),
        (2, "1 2", 1),
        (0, "1 2", None),
        (-1.0, "-1 0 1", 0),
        (True, "no yes", 1),
        (True, "bad good", None),
        (0.5, "bad good", None),
        ("0.5", "bad good", None),
        (2.0, "bad good", None),
        (-1, "bad good", None),
        (math.nan, "bad good", None),
        (math.inf, "bad good", None),
        (None, "bad good", None),
        ("", "bad good", None),
    ],
)
def test_a_value_means_a_class_by_its_name_or_by_its_number_also_as_pandas_writes_it(value, labels, expected):
    assert number_of(value, tuple(labels.split())) == expected


@pytest.mark.parametrize("label", [-1, -1.0, "-1", "-1.0", None, "", math.nan, "nan"])
def test_a_label_that_is_hidden_is_known_however_it_is_written(label):
    assert is_hidden(label)
    with pytest.raises(DataError) as error:
        classify(labels=("bad", "good")).example(Row("r:1", {"a": "x", "label": label}), labelled=True)
    assert "hidden" in error.value.hint


def test_tags_may_be_whole_numbers_with_a_point():
    task = Tag(labels=("O", "B-X", "I-X"))
    row = Row("r:1", {"tokens": ["a", "b"], "ner_tags": [1.0, "2.0"]})
    assert task.sentence(row, labelled=True).tags == (1, 2)


def classify(**settings) -> Classify:
    return Classify(**{"inputs": ("a",), "metrics": ("accuracy",)} | settings)


def test_forgotten_labels_are_asked_for():
    with pytest.raises(ValueError, match="list their names in labels"):
        classify(labels=())
    task = classify(labels=(), metrics=("pearson",))
    with pytest.raises(DataError) as error:
        task.example(Row("r:1", {"a": "x", "label": "good"}), labelled=True)
    assert "labels: [NAME, NAME]" in error.value.hint


@pytest.mark.parametrize(
    ("read", "values"),
    [
        (Choose(inputs=("q",), choices=("c",), labels=("a", "b")).example, {"q": "", "c": ["x", "y"]}),
        (Choose(inputs=("q",), choices=("c",), labels=("a", "b")).example, {"q": "x", "c": ["", "y"]}),
        (Span().question, {"id": "1", "question": "", "context": "x"}),
        (Span().question, {"id": "1", "question": "x", "context": " "}),
    ],
)
def test_an_empty_text_is_refused_with_a_remedy_that_the_kind_of_task_has(read, values):
    with pytest.raises(DataError, match=r"r:1: column '\w+' is empty") as error:
        read(Row("r:1", values), labelled=False)
    assert error.value.hint == "fix or remove the row"
