"""Task files of lm-evaluation-harness as prompted tasks."""

import json
from pathlib import Path
from typing import Any

import pytest

from nlptool import notices
from nlptool.errors import RecipeError
from nlptool.prompting.config import PromptConfig
from nlptool.prompting.dataset import PromptDataset
from nlptool.prompting.spec import TaskSpec
from nlptool.text.tabular import Row

CHOICE = "output_type: multiple_choice\n"
ARC = """tag: [ai2_arc]
task: arc_like
dataset_path: allenai/ai2_arc
dataset_name: ARC-Easy
output_type: multiple_choice
training_split: train
validation_split: validation
test_split: test
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{choices.label.index(answerKey)}}"
doc_to_choice: "{{choices.text}}"
num_fewshot: 25
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}, {metric: acc_norm}]
metadata: {version: 1.0}
"""


def task_of(folder: Path, text: str) -> PromptConfig:
    (folder / "own.yaml").write_text(text)
    return TaskSpec.model_validate(str(folder / "own.yaml")).task


def test_arcs_file_gives_arcs_requests(tmp_path: Path):
    told: list[str] = []
    notices.speak_by(told.append)
    task: Any = task_of(tmp_path, ARC)
    notices.speak_by(notices.warn)
    assert told == [f"{tmp_path / 'own.yaml'}: num_fewshot is a key of the recipe: num_fewshot=25"]
    assert (task.train, task.validation, task.source.hub, task.source.name) == (
        *("train", "test"),
        *("allenai/ai2_arc", "ARC-Easy"),
    )
    assert task.metrics == ("accuracy", "acc_norm")
    choices = {"text": ["a boat", "물 {1}"], "label": ["A", "B"]}
    one = task.instance(Row("f:1", {"question": "What floats?", "choices": choices, "answerKey": "B"}), "")
    assert (one.prompts[0], one.answers, one.gold) == (
        "Question: What floats?\nAnswer:",
        (" a boat", " 물 {1}"),
        1,
    )


@pytest.mark.parametrize(
    ("lines", "row", "answers", "gold"),
    [
        ('doc_to_choice: ["no", "yes"]\ndoc_to_target: label\n', {"label": "1"}, (" no", " yes"), 1),
        ('doc_to_choice: ["no", "yes"]\ndoc_to_target: "{{label}}"\n', {"label": "yes"}, (" no", " yes"), 1),
        ('doc_to_choice: ["no", "yes"]\ndoc_to_target: label\n', {"label": True}, (" no", " yes"), 1),
        ("doc_to_choice: c\ndoc_to_target: answer\n", {"c": ["물", "불"], "answer": "불"}, (" 물", " 불"), 1),
        ("doc_to_choice: c\ndoc_to_target: answer\n", {"c": ["1", "0"], "answer": "1"}, (" 1", " 0"), 1),
        (
            'doc_to_choice: "{{[sol1, sol2]}}"\ndoc_to_target: 0\n',
            {"sol1": "a", "sol2": "b"},
            (" a", " b"),
            0,
        ),
        (
            "doc_to_choice: \"{{[a, 'none']}}\"\ndoc_to_target: \"{{['1', '2'].index(key)}}\"\n"
            'target_delimiter: ""\n',
            {"a": "x", "key": "2"},
            ("x", "none"),
            1,
        ),
    ],
)
def test_choices_and_targets(
    lines: str, row: dict[str, Any], answers: tuple[str, ...], gold: int, tmp_path: Path
):
    task = task_of(tmp_path, f"{CHOICE}doc_to_text: '{{# note #}}{{{{q[0]}}}} {{x}}'\n{lines}")
    one = task.instance(Row("f:1", {"q": ["first"], **row}), "")
    assert (one.prompts[0], one.answers, one.gold) == ("first {x}", answers, gold)


def test_generated_and_scored_answers(tmp_path: Path):
    text = "output_type: generate_until\ndoc_to_text: question\ndoc_to_target: '{{answer}}'\n"
    kwargs = "generation_kwargs: {until: ['\\n'], do_sample: false, temperature: 0.0, max_gen_toks: 8}\n"
    task: Any = task_of(tmp_path, text + kwargs.replace("'\\n'", '"\\n"'))
    assert (task.stop, task.max_new_tokens, task.temperature, task.metrics) == (("\n",), 8, None, ("exact",))
    one = task.instance(Row("f:1", {"question": "q", "answer": "a"}), "")
    assert (one.prompts, one.answers, one.references) == (("q",), (" a",), ("a",))
    assert task_of(tmp_path, text).model_dump()["stop"] == ("\n\n",)
    scored = task_of(tmp_path, text.replace("generate_until", "loglikelihood"))
    assert scored.instance(Row("f:1", {"question": "q", "answer": "a"}), "").answers == (" a",)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("doc_to_text: \"{{text.split(' ')[0]}}\"\n", r"own.yaml:2: doc_to_text: .* is more than a column"),
        (
            "doc_to_text: a b\nprocess_docs: utils.f\n",
            "own.yaml:3: process_docs: lm-eval's key has no counterpart",
        ),
        (
            "doc_to_text: a b\nmetric_list: [{metric: f1}]\n",
            'metric_list: "f1"; of multiple_choice are known: acc',
        ),
        ("doc_to_text: a b\n", "doc_to_target: a text is expected; found null"),
        (
            "doc_to_text: a b\ndoc_to_choice: [x, y]\ndoc_to_target: 'it is {{label}}'\n",
            'doc_to_target: "it is {{label}}" is more than a column',
        ),
    ],
)
def test_what_has_no_counterpart_is_told_with_its_line(lines: str, told: str, tmp_path: Path):
    with pytest.raises(RecipeError, match=told):
        task_of(tmp_path, f"{CHOICE}{lines}")
    with pytest.raises(RecipeError, match=r"output_type: .*rolling.*one of multiple_choice"):
        task_of(tmp_path, "output_type: loglikelihood_rolling\ndoc_to_text: a b\n")


def test_superglues_own_files_and_labels_are_read(tmp_path: Path):
    (tmp_path / "val.jsonl").write_text('{"premise": "p", "hypothesis": "h", "label": "contradiction"}\n')
    task = TaskSpec.model_validate("superglue/cb").task
    (row,) = PromptDataset(task, "superglue/cb", None, tmp_path, 0).rows("", None)
    assert task.instance(row, "").gold == 1
    assert task.instance(Row("f:1", row.values | {"label": 2}), "").gold == 2


def test_questions_in_squads_own_form_are_prompted(tmp_path: Path):
    answers = [{"text": "교향곡", "answer_start": 5}, {"text": "곡", "answer_start": 7}]
    question = {"id": "1", "question": "무엇을 썼는가?", "answers": answers}
    paragraph = {"context": "바그너는 교향곡을 썼다.", "qas": [question]}
    text = json.dumps({"version": "1", "data": [{"title": "서곡", "paragraphs": [paragraph]}]})
    (tmp_path / "KorQuAD_v1.0_dev.json").write_text(text)
    task = TaskSpec.model_validate("korquad").task
    (row,) = PromptDataset(task, "korquad", None, tmp_path, 0).rows("", None)
    assert task.instance(row, "").references == ("교향곡", "곡")
    squad = TaskSpec.model_validate("squad").task
    assert "서곡" in squad.instance(row, "").prompts[0]
