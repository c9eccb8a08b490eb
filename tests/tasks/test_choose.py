from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import multiple_choice as kind

from nlptool.data import pair_inputs as data
from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.bert.config import Config as Bert
from nlptool.models.electra.config import Config as Electra
from nlptool.models.gpt2.config import Config as Gpt2
from nlptool.tasks.multiple_choice.config import Config
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

COPA = {
    "name": "multiple_choice",
    "inputs": ("premise", "question"),
    "choices": ("choice1", "choice2"),
    "labels": ("choice1", "choice2"),
    "metrics": ("accuracy",),
}
LISTED = COPA | {"inputs": ("stem",), "choices": ("choices.text",), "labels": ("A", "B", "C")}


def row(**values) -> Row:
    shown = {"premise": "It rained.", "question": "effect", "choice1": "Wet.", "choice2": "Dry.", "label": 0}
    listed = {"stem": "Where?", "choices": {"text": ["here", "there", "nowhere"]}}
    return Row("rows.jsonl:7", shown | listed | values)


def test_each_choice_is_read_with_the_question():
    example = Config.model_validate(COPA).example(row(), labelled=True)
    assert example.inputs == (("It rained. effect", "Wet."), ("It rained. effect", "Dry."))
    assert example.label == (0.0,)


@pytest.mark.parametrize(
    "choices", [{"text": ["here", "there", "nowhere"]}, [{"text": t} for t in ("here", "there", "nowhere")]]
)
def test_choices_may_be_a_list_of_texts_or_of_objects(choices):
    example = Config.model_validate(LISTED).example(row(choices=choices, label="B"), labelled=True)
    assert example.inputs == (("Where?", "here"), ("Where?", "there"), ("Where?", "nowhere"))
    assert example.label == (1.0,)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"choices": {"text": ["here", "there"]}}, "has 2 choices, the task 3"),
        ({"choices": {"text": "here"}}, "a list of texts is expected"),
        ({"choices": {"text": ["here", "there", ""]}}, "column 'choices.text' is empty"),
        ({"choices": [{"text": "here"}, {"label": "B"}]}, "no column 'choices.text'"),
        ({"label": "D"}, "expected one of 0 A, 1 B, 2 C"),
    ],
)
def test_a_row_that_is_not_as_the_task_says_is_refused(values: dict, said: str):
    with pytest.raises(DataError) as told:
        Config.model_validate(LISTED).example(row(**values), labelled=True)
    assert told.value.message.startswith("rows.jsonl:7: ")
    assert said in told.value.message


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"labels": ("a", "a")}, "different names"),
        ({"choices": ("a", "b", "c")}, "a column for each of 2 labels"),
        ({"metrics": ("f1",)}, "Input should be 'accuracy'"),
    ],
)
def test_a_task_that_contradicts_itself_is_refused(settings: dict, said: str):
    with pytest.raises(ValueError, match=said):
        Config.model_validate(COPA | settings)


def test_only_encoders_are_taken():
    assert [Config.model_validate(COPA).check(model) for model in (Bert(), Electra())] == [[], []]
    assert Config.model_validate(COPA).check(Gpt2())[0].path == "init_from"


@pytest.mark.parametrize("family", ["bert", "albert", "electra", "distilbert"])
def test_transformers_says_the_same(family: str, tiny_store: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    settings = kind.VARIANTS["a-list-of-three"]
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    made = small.build("multiple_choice", settings, tokenizer, name=family).eval()
    exported = made.folders(made.backbone.config)[""]
    huggingface.save_pretrained(
        tmp_path, exported.config, exported.state, tokenizer.special, exported.settings
    )
    tokenizer.save(tmp_path)
    theirs, info = transformers.AutoModelForMultipleChoice.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    rng = np.random.default_rng(3)
    examples = [
        small.config("multiple_choice", settings).example(
            Row("", kind.row(rng, small.WORDS, settings)), labelled=True
        )
        for _ in range(6)
    ]
    data.write(examples, tokenizer, tmp_path / "six")
    pairs = [pair for example in examples for pair in example.inputs]
    encode = transformers.AutoTokenizer.from_pretrained(tmp_path)
    encoded = encode(
        *map(list, zip(*pairs, strict=True)),
        padding=True,
        truncation=True,
        max_length=20,
        return_tensors="pt",
    )
    rows = made.dataset(Split(tmp_path / "six"), 20)
    with torch.no_grad():
        expected = theirs.eval()(**{name: t.view(6, 3, -1) for name, t in encoded.items()}).logits
        for batch in small.all_rows(made, rows, 4):
            assert (made.predict(batch) - expected[batch["row"]]).abs().max() < 1e-5
