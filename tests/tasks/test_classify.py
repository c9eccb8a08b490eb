import math
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import classification as kind

from nlptool import registry
from nlptool.data import pair_inputs as data
from nlptool.errors import DataError
from nlptool.models import heads, huggingface
from nlptool.tasks.classification.config import Config
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

PAIR = {"name": "classification", "inputs": ("a", "b"), "metrics": ("accuracy",), "labels": ("no", "yes")}


def task(**settings) -> Config:
    return Config.model_validate(PAIR | settings)


def row(**values) -> Row:
    return Row("rows.jsonl:7", {"a": "one", "b": "two", "label": 1} | values)


@pytest.mark.parametrize(
    ("label", "expected"), [(1, 1.0), (0, 0.0), ("yes", 1.0), ("no", 0.0), ("1", 1.0), (True, 1.0)]
)
def test_a_class_is_given_by_its_name_or_its_place(label, expected: float):
    assert task().example(row(label=label), labelled=True).label == (expected,)


@pytest.mark.parametrize(
    ("labels", "label", "expected"),
    [
        (("1", "0"), 0, 1.0),
        (("1", "2", "3"), 1, 0.0),
        (("1", "2", "3"), "3", 2.0),
        (("yes", "no"), False, 1.0),
        (("False", "True"), True, 1.0),
        (("entailment", "not_entailment"), 1, 1.0),
    ],
)
def test_a_name_goes_before_a_place(labels: tuple[str, ...], label, expected: float):
    assert task(labels=labels).example(row(label=label), labelled=True).label == (expected,)


@pytest.mark.parametrize(
    ("labels", "label"), [(("1", "2", "3"), 0), (("entailment", "not_entailment"), True)]
)
def test_what_may_be_a_name_or_a_place_is_refused(labels: tuple[str, ...], label):
    with pytest.raises(DataError, match="expected one of 0 "):
        task(labels=labels).example(row(label=label), labelled=True)


@pytest.mark.parametrize(
    "splits", [{"test": ("validation",)}, {"test": ("train",)}, {"validation": ("a", "a")}]
)
def test_a_split_has_one_part(splits: dict):
    with pytest.raises(ValueError, match=r"has labels|given twice"):
        task(**splits)


@pytest.mark.parametrize("label", [2, -1, "maybe", None, 0.5, "", [1]])
def test_another_label_is_refused_with_its_row(label):
    with pytest.raises(DataError, match=r"rows.jsonl:7: column 'label' holds .*expected one of 0 no, 1 yes"):
        task().example(row(label=label), labelled=True)


def test_a_hidden_label_is_told_from_a_wrong_one():
    with pytest.raises(DataError) as hidden:
        task().example(row(label=-1), labelled=True)
    assert "hidden" in hidden.value.hint
    example = task().example(row(label=-1), labelled=False)
    assert math.isnan(example.label[0])


@pytest.mark.parametrize(("score", "expected"), [(3, 3.0), (2.5, 2.5), ("4.75", 4.75), ("0", 0.0)])
def test_a_number_may_be_written_as_text(score, expected: float):
    assert task(labels=(), metrics=("pearson",)).example(row(label=score), labelled=True).label == (expected,)


@pytest.mark.parametrize("score", [math.nan, "nan", math.inf, None, True, "three", "", 10**400, 1e300])
def test_a_score_that_is_no_finite_number_is_refused(score):
    with pytest.raises(DataError, match=r"rows.jsonl:7: column 'label' holds .*a finite number is expected"):
        task(labels=(), metrics=("pearson",)).example(row(label=score), labelled=True)


@pytest.mark.parametrize(
    ("scores", "told"), [((0.0, 5.0, -1.0), 1), ((-1.0, -1.0), 2), ((0.0, 5.0), 0), ((-3.0, -1.0, 2.0), 0)]
)
def test_a_number_that_is_written_as_hidden_ones_are_is_told(
    scores: tuple[float, ...], told: int, tiny_store: Path, tmp_path: Path
):
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    made = small.build("classification", {"inputs": ["a", "b"], "metrics": ["pearson"]}, tokenizer)
    made.encode([row(label=score) for score in scores], tokenizer, tmp_path / "train", labelled=True)
    found = made.data_warnings(made.dataset(Split(tmp_path / "train"), 24))
    assert len(found) == bool(told)
    assert all(f"the label of {told} of {len(scores)} rows is -1" in one for one in found)


def test_an_empty_text_is_refused_unless_the_task_has_such():
    with pytest.raises(DataError, match=r"rows.jsonl:7: column 'b' is empty"):
        task().example(row(b=" "), labelled=True)
    assert task(empty=True).example(row(b=" "), labelled=True).inputs == (("one", " "),)


def test_a_text_that_is_none_and_a_missing_column_are_refused():
    with pytest.raises(DataError, match=r"rows.jsonl:7: column 'a' holds 3; a text is expected"):
        task().example(row(a=3), labelled=True)
    with pytest.raises(DataError, match=r"rows.jsonl:7: no column 'c'; it has a, b, label"):
        task(inputs=("a", "c")).example(row(), labelled=True)


def test_dots_lead_into_objects():
    found = task(label="labels.binary").example(row(labels={"binary": 0, "real": 2.1}), labelled=True)
    assert found.label == (0.0,)
    with pytest.raises(DataError, match=r"no column 'labels.other'"):
        task(label="labels.other").example(row(labels={"binary": 0}), labelled=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"labels": ("yes", "yes")}, "two or more different names"),
        ({"labels": ("yes",)}, "two or more different names"),
        ({"metrics": ("pearson",)}, "pearson is not for classes"),
        ({"labels": ()}, "accuracy is not for numbers"),
        ({"labels": ("x", "y", "z"), "metrics": ("f1",)}, "macro_f1"),
        ({"inputs": ("a", "b", "c")}, "at most 2"),
        ({"test": ("test",), "submission": {"files": ()}}, "0 files for 1 test split"),
        ({"score": ("f1",)}, "score: f1 is none of the metrics"),
        ({"sources": {"ax": {"hub": "x/y"}}}, "sources: no split is in ax, such as ax/test"),
        ({"range": (0, 5)}, "range: of numbers that are handed in"),
    ],
)
def test_a_task_that_contradicts_itself_is_refused(settings: dict, said: str):
    with pytest.raises(ValueError, match=said):
        task(**settings)


FAMILIES = {"bert": {}, "albert": {"embedding_size": 16}, "electra": {"embedding_size": 16}}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("variant", kind.PLAIN)
def test_transformers_says_the_same(variant: str, family: str, tiny_store: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    settings = kind.VARIANTS[variant]
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    made = small.build("classification", settings, tokenizer, name=family, **FAMILIES[family]).eval()
    for parameter in made.parameters():
        if parameter.ndim == 1:  # biases and norms away from 0 and 1, so that a forgotten one shows
            torch.nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)
    exported = made.folders(made.backbone.config)[""]
    huggingface.save_pretrained(
        tmp_path, exported.config, exported.state, tokenizer.special, exported.settings
    )
    tokenizer.save(tmp_path)
    theirs, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(info.values()), info
    names = list(theirs.config.id2label.values())
    assert names == list(settings.get("labels", ["LABEL_0"]))
    rng = np.random.default_rng(3)
    rows = [kind.row(rng, small.WORDS, settings) for _ in range(10)]
    texts = [[row[column] for row in rows] for column in settings["inputs"]]
    encode = transformers.AutoTokenizer.from_pretrained(tmp_path)
    inputs = encode(*texts, padding=True, truncation=True, max_length=small.LENGTH, return_tensors="pt")
    examples = [small.config("classification", settings).example(Row("", r), labelled=True) for r in rows]
    data.write(examples, tokenizer, tmp_path / "ten")
    ten = made.dataset(Split(tmp_path / "ten"), small.LENGTH)
    with torch.no_grad():
        expected = theirs.eval()(**inputs).logits
        for batch in small.all_rows(made, ten, 4):
            assert (made.predict(batch) - expected[batch["row"]]).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("family", "given", "rate"),
    [("bert", None, 0.1), ("albert", None, 0.1), ("electra", None, 0.1), ("distilbert", None, 0.2)]
    + [(family, 0.0, 0.0) for family in ("bert", "distilbert")],
)
def test_a_head_has_the_dropout_of_its_family_unless_told_otherwise(
    family: str, given: float | None, rate: float
):
    model = registry.config("models", family).model_validate({"layers": 1, "hidden": 8, "heads": 2})
    assert heads.Classifier.of(model, 2, given).dropout.rate == rate
    assert heads.Classifier.chooser(model, given).dropout.rate == rate
    assert heads.TokenClassificationHead.of(model, 2, given).dropout.rate == (0.1 if given is None else given)


def test_balanced_classes_have_the_same_say_in_the_training_loss(tiny_store: Path, tmp_path: Path):
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    settings = {"inputs": ["a"], "labels": ["no", "yes"], "metrics": ["accuracy"]}
    rows = [Row("", {"a": "the river", "label": int(n < 3)}) for n in range(12)]
    made = small.build("classification", settings | {"class_weights": "balanced"}, tokenizer).eval()
    made.encode(rows, tokenizer, tmp_path / "train", labelled=True)
    train = made.dataset(Split(tmp_path / "train"), small.LENGTH)
    batches = small.all_rows(made, train, 12)
    assert sum(made(batch)["cross_entropy"].item() for batch in batches) == pytest.approx(
        sum(made.cost(made.predict(batch), batch["labels"]).item() for batch in batches)
    )
    made.weigh(train)
    by_hand = 0.0
    for batch in batches:
        losses = torch.nn.functional.cross_entropy(
            made.predict(batch), batch["labels"][:, 0].long(), reduction="none"
        )
        by_hand += float((losses * torch.where(batch["labels"][:, 0] == 1, 12 / (2 * 3), 12 / (2 * 9))).sum())
    assert sum(float(made(batch)["cross_entropy"]) for batch in batches) == pytest.approx(by_hand)


def test_there_is_a_weight_for_each_class():
    with pytest.raises(ValueError, match="class_weights: 2 numbers above 0, one for each of labels"):
        task(class_weights=(1.0,))
