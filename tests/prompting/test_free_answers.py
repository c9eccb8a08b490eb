"""Generated answers: correctness, and the score of an empty one."""

import pytest

from nlptool.errors import DataError
from nlptool.prompting.config import Response
from nlptool.prompting.generate_until.config import METRICS, Config
from nlptool.text.tabular import Row

KEYS = {"prompt": "Q: {q}\nA:", "answer": " {a}", "stop": ("\n",), "max_new_tokens": 5}
SQUAD = Config(**KEYS, metrics=("squad2_f1", "squad2_exact"), no_answer="unanswerable")


def scores(task: Config, row: dict, said: str) -> list[float]:
    question = task.instance(Row("f:1", row), "")
    return [figure.value for figure in task.compute_metrics([question], [[Response(text=said)]]).values()]


def test_the_best_reference_counts():
    task = Config(**KEYS, metrics=("squad_f1", "squad_exact"))
    assert scores(task, {"q": "?", "a": ["the old bell", "a bell"]}, " Bell!") == [1, 1]
    assert scores(task, {"q": "?", "a": ["the old bell"]}, " Bell") == [pytest.approx(2 / 3), 0]


def test_where_there_is_no_answer_saying_so_is_right_and_so_is_silence():
    assert scores(SQUAD, {"q": "?", "a": []}, " unanswerable") == [1, 1]
    assert scores(SQUAD, {"q": "?", "a": []}, "") == [1, 1]
    assert scores(SQUAD, {"q": "?", "a": []}, " a bell") == [0, 0]
    assert scores(SQUAD, {"q": "?", "a": ["a bell"]}, " Unanswerable") == [0, 0]
    assert SQUAD.instance(Row("f:1", {"q": "?", "a": []}), "").fewshot_example == "Q: ?\nA: unanswerable"


def test_a_row_without_an_answer_is_told_where_none_is_foreseen():
    with pytest.raises(DataError, match="f:1: has no answer"):
        Config(**KEYS, metrics=("squad_f1",)).instance(Row("f:1", {"q": "?", "a": []}), "")


@pytest.mark.parametrize("texts", ["", " ", ["", ""]])
def test_a_blank_answer_is_none(texts: str | list[str]):
    with pytest.raises(DataError, match="f:1: has no answer"):
        Config(**KEYS, metrics=("squad_f1",)).instance(Row("f:1", {"q": "?", "a": texts}), "")
    assert SQUAD.instance(Row("f:1", {"q": "?", "a": texts}), "").fewshot_example == "Q: ?\nA: unanswerable"


def test_a_prompt_of_which_only_the_frame_is_left_is_told():
    with pytest.raises(DataError, match="f:1: column 'q' is empty, so the prompt asks nothing"):
        SQUAD.instance(Row("f:1", {"q": " ", "a": "bell"}), "")


@pytest.mark.parametrize("metric", METRICS)
def test_a_list_without_references_is_told_or_means_silence_for_every_metric(metric: str):
    row = {"q": "?", "a": "bell", "r": []}
    with pytest.raises(DataError, match="f:1: has no reference") as told:
        Config(**KEYS, references="{r}", metrics=(metric,)).instance(Row("f:1", row), "")
    assert "no_answer: unanswerable" in told.value.hint
    task = Config(**KEYS, references="{r}", metrics=(metric,), no_answer="none")
    empty_answer = 0.0 if metric == "bleu" else 1.0  # which counts runs of words, and of none there is none
    assert scores(task, row, " none") == scores(task, row, "") == [empty_answer]
    assert scores(task, row, " a bell") == [0]


def test_a_metrics_words_can_be_those_of_another_script():
    row = {"q": "?", "a": ["종이 크게 울린다"]}
    for tokenize, expected in (({}, 0), ({"rouge": "unicode"}, 1)):
        task = Config(**KEYS, metrics=("rougeLsum",), tokenize=tokenize)
        assert scores(task, row, "종이 크게 울린다") == [expected]
        assert len(task.remarks([task.instance(Row("f:1", row), "")])) == 1 - expected
    with pytest.raises(ValueError, match="none of the metrics is bleu"):
        Config(**KEYS, metrics=("rougeLsum",), tokenize={"bleu": "zh"})


def test_references_can_be_others_than_what_is_shown():
    task = Config(**KEYS, references="{r}", metrics=("coqa_f1",))
    row = {"q": "?", "a": "bell", "r": ["bell", "horn", "bell"]}
    assert task.instance(Row("f:1", row), "").references == ("bell", "horn", "bell")
    # each reference is left out in turn: bell, horn stay, then bell twice, then bell and horn
    assert scores(task, row, "horn") == [pytest.approx(2 / 3)]


def test_of_an_answer_the_first_sentences_may_count():
    task = Config(**KEYS, metrics=("exact",), max_sentences=2)
    assert scores(task, {"q": "?", "a": ["It rang. Then it fell."]}, " It rang. Then it fell. A horn.") == [1]


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"num_beams": 4, "top_k": 2}, "num_beams searches .* samples nothing: top_k does not go with it"),
        ({"num_beams": 4, "temperature": 0.0}, "temperature does not go with it"),
        ({"length_penalty": 1.0}, "length_penalty has no effect here"),
        ({"temperature": 0.0, "top_p": 0.9}, "top_p has no effect here"),
        ({"stop": ("\n", "")}, "stop: a string without a character would stop everything"),
    ],
)
def test_keys_that_exclude_each_other_are_an_error(keys: dict, wrong: str):
    with pytest.raises(ValueError, match=wrong):
        Config(**KEYS | keys, metrics=("exact",))


def test_an_answer_is_decided_by_what_decided_it_before_and_by_keys_that_are_given():
    plain = Config(**KEYS, metrics=("exact",), top_k=2).generation
    assert plain.identity == [5, ("\n",), None, 2, 0], "kept answers of earlier versions hold"
    assert plain._replace(top_p=0.5).identity == [5, ("\n",), None, 2, 0, {"top_p": 0.5}]
    assert [plain.sampled, plain._replace(top_k=None).sampled, plain._replace(temperature=0).sampled] == [
        True,
        False,
        False,
    ]


def test_quacs_error_is_that_of_the_questions_that_people_agree_on():
    task = Config(**KEYS, references="{r}", metrics=("quac_f1", "quac_heq"))
    rows = [["the bell", "bell"], ["the old bell", "bell"], ["a horn", "seven towns"]]
    questions = [task.instance(Row(f"f:{n}", {"q": "?", "a": "x", "r": r}), "") for n, r in enumerate(rows)]
    said = [[Response(text=text)] for text in ("bell", "nothing", "a horn")]
    found = task.compute_metrics(questions, said)
    assert found["quac_f1"] == (0.5, pytest.approx(0.5)), "1 and 0; on the third nobody agrees"
    assert found["quac_heq"] == (0.5, pytest.approx(0.5))


def test_dialogues_are_asked_turn_by_turn():
    from examples import EXAMPLES

    from nlptool.prompting.preprocess import preprocess

    for name in ("coqa", "quac"):
        turns = list(preprocess(Row("f:7", EXAMPLES[name].row), name))
        assert [row.place for row in turns] == ["f:7, turn 1", "f:7, turn 2"]
        assert turns[0].values["history"] == ""
