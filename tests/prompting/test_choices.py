"""Multiple choice: requests, and the decision by each score."""

import pytest
from pydantic import ValidationError

from nlptool.errors import DataError
from nlptool.prompting.config import Response
from nlptool.prompting.multiple_choice.config import Config
from nlptool.text.tabular import Row

PIQA = Config(prompt="Q: {goal}\nA:", choices=("{sol1}", "{sol2}"))
METRICS = (
    "accuracy",
    "accuracy_per_token",
    "acc_norm",
    "accuracy_per_byte",
    "accuracy_unconditional",
)


def row(**values: object) -> Row:
    return Row("f.jsonl:1", {"goal": "warm up", "sol1": "run", "sol2": "sit still", "label": 0} | values)


def test_each_choice_follows_the_prompt():
    question = PIQA.instance(row(), "")
    assert PIQA.requests(question, "before ") == [
        ("before Q: warm up\nA:", " run"),
        ("before Q: warm up\nA:", " sit still"),
    ]
    assert question.fewshot_example == "Q: warm up\nA: run"


def test_partial_evaluation_scores_what_follows_the_choice():
    task = Config(prompt="{a}{choice}", answer=" {b}", choices=("{x}", "{y}"), label=1)
    question = task.instance(Row("f:1", {"a": "He saw ", "b": "leave.", "x": "Tom", "y": "Ann"}), "")
    assert task.requests(question, "") == [("He saw Tom", " leave."), ("He saw Ann", " leave.")]
    assert question.fewshot_example == "He saw Ann leave."


@pytest.mark.parametrize("label", [1, "1", True, " 1 "])
def test_a_label_is_a_place(label: object):
    assert PIQA.instance(row(label=label), "").gold == 1


def test_a_label_is_a_name_of_a_list_or_of_a_column():
    fixed = Config(prompt="{goal}", choices=("{sol1}", "{sol2}"), labels=("1", "2"))
    assert fixed.instance(row(label="2"), "").gold == 1
    listed = Config(prompt="", choices="{c.text}", label="key", labels="c.label")
    named = {"c": {"text": ["x", "y", "z"], "label": ["A", "B", "C"]}, "key": "C"}
    assert listed.instance(Row("f:1", named), "").gold == 2


@pytest.mark.parametrize("label", [2, -1, "x", None, 0.5])
def test_a_label_that_is_none_is_told(label: object):
    with pytest.raises(DataError, match=r"f.jsonl:1: column 'label' holds .*; expected a place from 0 to 1"):
        PIQA.instance(row(label=label), "")


def test_an_empty_choice_is_told():
    with pytest.raises(DataError, match=r'f.jsonl:1: the choices are \["run", " "\]'):
        PIQA.instance(row(sol2=" "), "")


def test_each_score_divides_by_its_own_length():
    """Sums -6, -8; tokens 2, 4; characters 3, 9; bytes 3, 9; alone -1, -7."""
    task = Config(prompt="{goal}", choices=("{sol1}", "{sol2}"), metrics=METRICS, unconditional="A:")
    question = task.instance(row(), "")
    replies = [Response(-6, 2), Response(-8, 4), Response(-1, 2), Response(-7, 4)]
    figures = task.compute_metrics([question], [replies])
    assert {name: figure.value for name, figure in figures.items()} == {
        "accuracy": 1,
        "accuracy_per_token": 0,
        "acc_norm": 0,
        "accuracy_per_byte": 0,
        "accuracy_unconditional": 0,
    }
    assert task.requests(question, "")[2:] == [("A:", " run"), ("A:", " sit still")]


def test_characters_and_bytes_differ_in_korean():
    task = Config(prompt="", choices=("{a}", "{b}"), metrics=("acc_norm", "accuracy_per_byte"), label=0)
    question = task.instance(Row("f:1", {"a": "예", "b": "no"}), "")
    figures = task.compute_metrics(
        [question], [[Response(-4.0), Response(-6.0)]]
    )  # per character -4, -3; per byte -4/3, -3
    assert [figure.value for figure in figures.values()] == [0, 1]


def test_a_model_that_tells_nothing_apart_solves_no_minimal_pair():
    task = Config(prompt="", choices=("{good}", "{bad}"), label=0)
    question = task.instance(Row("f:1", {"good": "a", "bad": "b"}), "")
    assert task.compute_metrics([question], [[Response(-3.0), Response(-3.0)]])["accuracy"].value == 0


@pytest.mark.parametrize(("good", "bad"), [(-3.0, float("nan")), (float("nan"), -3.0)])
def test_what_is_no_number_is_never_the_best(good: float, bad: float):
    task = Config(prompt="", choices=("{good}", "{bad}"), label=0)
    question = task.instance(Row("f:1", {"good": "a", "bad": "b"}), "")
    assert task.compute_metrics([question], [[Response(good), Response(bad)]])["accuracy"].value == (
        good == -3.0
    )
    assert task.compute_metrics([question], [[Response(float("nan"))] * 2])["accuracy"].value == 0


def test_chance_and_majority():
    questions = [PIQA.instance(row(label=label), "") for label in (0, 1, 1)]
    assert PIQA.baselines(questions) == {"chance": 0.5, "majority": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"answer": " yes"}, "{choice} is missing"),
        ({"choices": ("{sol1}",)}, "at least two"),
        ({"labels": ("1", "2", "3")}, "as many as labels"),
        ({"unconditional": "A:"}, "requires the metric"),
        ({"metrics": ("accuracy_unconditional",)}, "requires the metric"),
        ({"prompt": "{goal"}, "a brace by itself"),
    ],
)
def test_what_does_not_go_together_is_refused(changed: dict, message: str):
    with pytest.raises(ValidationError, match=message.replace("{", r"\{")):
        Config(**{"prompt": "{goal}", "choices": ("{sol1}", "{sol2}")} | changed)
