"""Models written by transformers, without task.json: `predict` equals transformers' pipeline."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlptool.cli import main
from nlptool.models import hf_family
from nlptool.tasks.task_of_class import task_of_class

transformers = pytest.importorskip("transformers")
TEXTS = ["the old town", "겨울의 강 😀", "Ça, a bell!"]
FEELINGS = {0: "부정", 1: "중립", 2: "긍정"}
TAGS = {0: "O", 1: "B-PER", 2: "I-PER"}


@pytest.fixture
def write(tiny_run: Path, tmp_path: Path, capsys):
    """A folder of a class, its weights random where they are not pretrained."""

    def made(name: str, **settings: Any) -> Path:
        torch.manual_seed(3)
        config = transformers.AutoConfig.from_pretrained(tiny_run / "final", **settings)
        model = getattr(transformers, name).from_pretrained(tiny_run / "final", config=config)
        for head in (one for key, one in model.named_parameters() if key.startswith(("classifier", "qa"))):
            torch.nn.init.normal_(head, std=0.5)
        model.save_pretrained(tmp_path / "theirs")
        for path in (tiny_run / "final").glob("*token*"):
            shutil.copy(path, tmp_path / "theirs")
        capsys.readouterr()
        return tmp_path / "theirs"

    return made


def predicted(model: Path, capsys, *arguments: str) -> list[dict]:
    assert main(["predict", str(model), *arguments, "--json"]) == 0
    told = capsys.readouterr()
    assert "has no task.json; by its class it is" in told.err
    found = json.loads(told.out)
    return found if isinstance(found, list) else [found]


def texts() -> list[str]:
    return [part for text in TEXTS for part in ("--text", text)]


@pytest.mark.parametrize(
    "settings",
    [
        {"num_labels": 2},
        {"id2label": FEELINGS},
        {"id2label": FEELINGS, "problem_type": "multi_label_classification"},
    ],
    ids=["unnamed", "named", "several"],
)
def test_classes_are_those_of_the_pipeline(settings: dict, write, capsys):
    model = write("BertForSequenceClassification", **settings)
    pipe = transformers.pipeline("text-classification", model=str(model), top_k=None)
    for text, one in zip(TEXTS, predicted(model, capsys, *texts()), strict=True):
        theirs = {other["label"]: other["score"] for other in pipe({"text": text})}
        assert one["scores"] == pytest.approx(theirs, abs=1e-4)
        best = (
            [label for label, score in theirs.items() if score > 0.5] if "problem_type" in settings else None
        )
        assert (
            one["prediction"] == max(theirs, key=theirs.__getitem__)
            if best is None
            else set(one["prediction"]) == set(best)
        )


def test_a_single_output_is_a_number(write, capsys):
    model = write("BertForSequenceClassification", num_labels=1)
    pipe = transformers.pipeline("text-classification", model=str(model), function_to_apply="none")
    for text, one in zip(TEXTS, predicted(model, capsys, *texts()), strict=True):
        assert one["prediction"] == pytest.approx(pipe(text)[0]["score"], abs=1e-4)


@pytest.mark.parametrize("names", [TAGS, {0: "NOUN", 1: "VERB", 2: "X"}], ids=["entities", "speech"])
def test_tags_are_those_of_the_first_token_of_a_word(names: dict, write, capsys):
    model = write("BertForTokenClassification", id2label=names)
    (one,) = predicted(model, capsys, "--text", "the old 겨울의 town")
    assert ("entities" in one) == (names is TAGS)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    read = tokenizer("the old 겨울의 town", return_offsets_mapping=True, return_tensors="pt")
    ends = [end for _, end in read.pop("offset_mapping")[0].tolist()][1:-1]
    with torch.inference_mode():
        tags = (
            transformers.BertForTokenClassification.from_pretrained(model)(**read)
            .logits[0]
            .argmax(-1)
            .tolist()
        )
    words = np.searchsorted(ends, [0, 4, 8, 12], "right") + 1  # the first token that reaches into a word
    assert one["prediction"] == [names[tags[at]] for at in words]


def test_spans_need_a_question_and_a_text(write, capsys):
    model = write("BertForQuestionAnswering")
    (one,) = predicted(model, capsys, "--text", "where?", "--text", "the old town")
    assert one["prediction"] == "the old town"[one["start"] : one["end"]]


@pytest.mark.parametrize("classes", [{"a": "b"}, {"0": "same", "1": "same"}])
def test_classes_that_are_none_are_told(classes: dict, write, capsys):
    model = write("BertForSequenceClassification", num_labels=2)
    config = json.loads((model / "config.json").read_text()) | {"id2label": classes}
    (model / "config.json").write_text(json.dumps(config))
    assert main(["predict", str(model), "--text", "a"]) == 3
    told = capsys.readouterr().err
    assert "config.json names no classes of a task" in told
    assert "--task TASK" in told


def test_what_a_class_does_not_tell_is_asked_for(write, capsys):
    assert main(["predict", str(write("BertForMultipleChoice")), "--text", "a"]) == 3
    assert "does not record the task it was fine-tuned on" in capsys.readouterr().err
    rows = write("BertForSequenceClassification", num_labels=2).parent / "rows.tsv"
    rows.write_text("리뷰\n강\n")
    assert main(["predict", str(rows.parent / "theirs"), str(rows)]) == 3
    assert "no column 'text'" in capsys.readouterr().err
    assert main(["predict", str(rows.parent / "theirs"), str(rows), "--map", "text=리뷰"]) == 0


@pytest.mark.parametrize("named", [-1, "BertModel", [], [7], [["x"]], {"0": "x"}, None])
def test_what_names_no_class_is_none(named: object):
    assert hf_family.architecture({"architectures": named}) == ""
    assert task_of_class({"architectures": named}, {}) is None
