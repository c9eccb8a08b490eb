"""decaNLP's ten tasks as questions about contexts: the texts are those of its paper, section 2, and its code."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from deca_rows import ROWS, SENTENCE, WOZ

from nlptool.cli import main
from nlptool.errors import DataError
from nlptool.evaluation.metrics import decanlp, generated_text
from nlptool.recipe.by_name import Named
from nlptool.registry import DiscriminatedBy
from nlptool.tasks.text_generation.config import Config
from nlptool.tasks.text_generation.decanlp_formats import DecaNLPExample
from nlptool.text.tabular import Row

TASK = Named(DiscriminatedBy("tasks"), "tasks", "task")


def examples(task: str, row: dict[str, Any], *, labelled: bool = True) -> list[DecaNLPExample]:
    config = TASK.block(f"deca/{task}")
    assert isinstance(config, Config)
    return config.examples(Row("rows:1", row), labelled=labelled)


def first(task: str, number: int = 0) -> DecaNLPExample:
    return examples(task, ROWS[task][number])[0]


def test_every_task_is_scored_as_in_deca():
    assert {task: TASK.block(f"deca/{task}").metrics[0] for task in decanlp.TASKS} == decanlp.TASKS
    assert set(ROWS) == set(decanlp.TASKS)


def test_squad_has_its_own_questions_and_all_answers_count():
    assert first("squad") == ("Which town?", SENTENCE, "small town", ("small town", "town"))
    assert first("squad", 1).answer == "unanswerable"


def test_translation_and_summaries_have_one_question():
    assert first("iwslt") == (
        "Translate from English to German",
        "The old river",
        "Der alte Fluss war still",
        ("Der alte Fluss war still",),
    )
    assert first("cnn_dailymail")[:2] == ("What is the summary?", SENTENCE)


def test_classes_are_named_in_the_question():
    question = 'Hypothesis: "A river is new." -- entailment, neutral, or contradiction?'
    assert first("mnli", 1)[:3] == (question, f'Premise: "{SENTENCE}"', "contradiction")
    assert first("sst", 1)[:3] == ("Is this review negative or positive?", "a light", "positive")


def test_the_slots_of_a_semantic_role_make_a_question():
    assert first("qa_srl") == (
        "What risked something?",
        SENTENCE,
        "The old river",
        ("The old river", "river"),
    )
    assert first("qa_srl", 1).question == "What was risked?"


def test_a_relation_is_asked_of_its_subject_and_may_be_unanswerable():
    assert first("qa_zre") == ("How old is Ann?", "Ann is ten.", "ten, 10", ("ten, 10",))
    assert first("qa_zre", 1).answer == "unanswerable"


def test_a_dialogue_is_a_question_a_turn_and_the_answer_what_has_changed():
    one, two, three = examples("woz", WOZ)
    assert {turn.question for turn in (one, two, three)} == {"What is the change in state?"}
    assert one.context == "A thai place in the north?"
    assert one.answer == "food: thai, area: north;"
    assert two.context == "area, food: thai -- The south. Which phone?"
    assert two.answer == "area: south; phone"
    assert three.answer == "None"
    assert [turn.references for turn in (one, two, three)] == [
        ("en_7_0", one.answer),
        ("en_7_1", two.answer),
        ("en_7_2", "None"),
    ]


def test_a_table_gives_its_columns_and_the_words_of_sql():
    one, two = (first("wikisql", number) for number in (0, 1))
    assert one.question == "What is the translation from English to SQL?"
    assert one.context == (
        "The table has columns Year, Team and key words MAX, MIN, COUNT, SUM, AVG, =, >, <, OP, SELECT, WHERE, AND, "
        "COL, TABLE, CAPTION, PAGE, SECTION, OP, COND, QUESTION, AGG, AGGOPS, CONDOPS-- Which team in 1999?"
    )
    assert one.answer == "SELECT Team FROM table WHERE Year = 1999"
    assert two.answer == "SELECT COUNT Team FROM table WHERE Year > 1999", "conditions as the hub has them"


def test_a_schema_offers_both_candidates():
    assert first("mwsc", 1)[:3] == (
        "What was wild? town or river?",
        "The town feared the river because it was wild.",
        "river",
    )


@pytest.mark.parametrize("task", decanlp.TASKS)
def test_who_answers_as_was_to_be_learnt_scores_all(task: str):
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    all_ = [one for row in ROWS[task] for one in examples(task, row)]
    score = generated_text.compute(
        [decanlp.TASKS[task]], [one.answer for one in all_], [one.references for one in all_]
    )
    assert score[decanlp.TASKS[task]] == pytest.approx(1.0)


@pytest.mark.parametrize("task", decanlp.TASKS)
def test_a_test_row_has_a_question_and_no_answer(task: str):
    hidden = ("answers", "translation.de", "highlights", "label", "answer", "sql")
    for row in ROWS[task]:
        known = [one._replace(answer="", references=("",)) for one in examples(task, row)]
        bare = {name: value for name, value in row.items() if name not in hidden}
        assert examples(task, bare, labelled=False) == known


@pytest.mark.parametrize(
    ("task", "changed", "told"),
    [
        ("squad", {"answers": {"text": [3]}}, "rows:1: column 'answers.text' holds"),
        ("squad", {"context": "  "}, "column 'context' is empty"),
        ("mnli", {"label": -1}, "its label is hidden|column 'label' holds -1"),
        ("qa_srl", {"question": 3}, "column 'question' holds 3"),
        ("qa_srl", {"answers": []}, "column 'answers' is empty"),
        ("qa_zre", {"answers": "ten"}, "a list of texts is expected"),
        ("woz", {"dialogue": [{"transcript": "Hello"}]}, "turn 0: expected system_acts"),
        ("wikisql", {"sql": {"sel": 5, "agg": 0, "conds": []}}, "sql is not a query of this table"),
        ("mwsc", {"options": ["town"]}, "no column 'options.1'"),
    ],
)
def test_a_row_that_is_not_as_it_should_be_is_told_with_its_place(task: str, changed: dict, told: str):
    with pytest.raises(DataError, match=told):
        examples(task, ROWS[task][0] | changed)


@pytest.mark.parametrize("task", decanlp.TASKS)
def test_every_task_can_be_planned_with_a_decoder(task: str, tiny_decoder: Path, tmp_path: Path, capsys):
    for split in ("train", "validation", "validation_matched", "validation_mismatched", "test"):
        lines = [json.dumps(row) + "\n" for row in ROWS[task] * 5]
        (tmp_path / f"{split}.jsonl").write_text("".join(lines))
    arguments = [
        f"init_from={tiny_decoder}",
        f"data={tmp_path}",
        "train.sequence_length=128",
        "--dry-run",
        "--json",
    ]
    assert main(["finetune", "finetune/deca", f"task=deca/{task}", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["rows"].values()) == {15 if task == "woz" else 10}
    assert told["baseline"][decanlp.TASKS[task]] <= 1


def test_the_ten_tasks_together_have_a_deca_score(tiny_decoder: Path, tmp_path: Path, capsys):
    for task, made in ROWS.items():
        (tmp_path / task).mkdir()
        for split in ("train", "validation", "validation_matched", "validation_mismatched"):
            some = made[:1] if split == "validation_mismatched" else made
            (tmp_path / task / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    arguments = [
        f"init_from={tiny_decoder}",
        f"data={tmp_path}",
        "train.sequence_length=128",
        "--dry-run",
        "--json",
    ]
    assert main(["finetune", "finetune/deca", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"]["train"] == 21
    assert len(told["rows"]) == 1 + 11, "MNLI has two splits to score on"
    baseline = told["baseline"]
    sets = {"mnli": "mnli/exact", "other": "mnli/validation_mismatched/exact"}
    assert baseline[sets["mnli"]] != baseline[sets["other"]]
    sizes = [told["rows"][f"mnli/validation_{name}"] for name in ("matched", "mismatched")]
    both = (sizes[0] * baseline[sets["mnli"]] + sizes[1] * baseline[sets["other"]]) / sum(sizes)
    figures = baseline | {"mnli/exact": both}
    first = [figures[f"{task}/{metric}"] for task, metric in decanlp.TASKS.items()]
    assert baseline["sum"] == pytest.approx(sum(first))
    assert baseline["deca_score"] == pytest.approx(100 * sum(first))
    assert "mnli/validation_mismatched/exact" in baseline


def test_real_dialogues_can_be_read(shared_data: Path):
    with gzip.open(shared_data / "woz/validate.jsonl.gz", "rt") as lines:
        all_ = [one for line in lines for one in examples("woz", json.loads(line))]
    assert len(all_) == 830, "as many as decaNLP has for development (McCann et al. 2018, table 1)"
    assert decanlp.joint_goal([one.answer for one in all_], [one.references for one in all_]) == 1.0
