"""Rows with any number of labels: training, scores and predictions on the user's own rows."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from nlptool import registry
from nlptool.cli import main
from nlptool.commands.finetune.recipe import Recipe
from nlptool.errors import DataError
from nlptool.evaluation.metrics import multi_label
from nlptool.text.tabular import Row

WORDS = {"drama": "river", "comedy": "bell", "war": "stone"}


def rows(count: int = 24) -> list[tuple[str, list[str]]]:
    """Texts whose words tell their labels; some have none."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        labels = [name for name in WORDS if rng.random() < 0.5]
        made.append((" ".join(["the old", *(WORDS[name] for name in labels), "house"]), labels))
    return made


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A TSV with a bar between labels."""
    path = tmp_path / "films.tsv"
    lines = ["text\tgenres", *(f"{text}\t{'|'.join(labels)}" for text, labels in rows())]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_column_for_each_label(tmp_path: Path):
    names = ("여성/가족", "지역", "clean")
    lines = ["문장\t" + "\t".join(names), *(f"그 말 {n}\t{n % 2}\t0\t1" for n in range(4))]
    (tmp_path / "own.tsv").write_text("\n".join(lines) + "\n")
    recipe = {"task": str(tmp_path / "own.tsv"), "init_from": "model", "out": "run"}
    task = Recipe.model_validate(recipe).task
    assert isinstance(task, registry.config("tasks", "multi_label_classification"))
    assert task.label_columns == task.labels == names
    row = Row("f:3", {"문장": "그 말", "여성/가족": "1", "지역": 0.0, "clean": True})
    assert task.example(row, labelled=True).label == (1.0, 0.0, 1.0)
    with pytest.raises(
        DataError, match="f:3: column 'clean' holds 2; 1 where the row has this label, else 0"
    ):
        task.example(Row("f:3", row.values | {"clean": 2}), labelled=True)


@pytest.fixture
def recipe(tiny_run: Path, tmp_path: Path) -> str:
    (tmp_path / "recipe.yaml").write_text(
        f"init_from: {tiny_run / 'final'}\nout: {tmp_path / 'out'}\ntask: nothing\n"
        "train: {steps: 60, batch_size: 8, sequence_length: 16, lr: 1e-2}\nevaluate: {every: 60}\n"
    )
    return str(tmp_path / "recipe.yaml")


def test_a_file_of_ones_own_is_learnt_scored_and_predicted(cells: Path, recipe: str, tmp_path: Path, capsys):
    task = [f"task={{source: {{files: {cells}}}, label: genres, label_separator: '|'}}"]
    assert main(["finetune", recipe, *task, "--json"]) == 0
    told = capsys.readouterr()
    assert "name: multi_label_classification" in told.err
    assert "labels: [comedy, drama, war]" in told.err
    figures = json.loads(told.out)["mean"]
    assert {"micro_f1", "macro_f1", "subset_accuracy", "binary_cross_entropy"} <= figures.keys()
    final = tmp_path / "out" / "seed-0" / "final"
    config = json.loads((final / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {"0": "comedy", "1": "drama", "2": "war"}

    assert main(["predict", str(final), "--text", "the old river bell house", "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert set(line["scores"]) == {"comedy", "drama", "war"}
    assert line["prediction"] == [name for name, share in line["scores"].items() if share >= 0.5]
    assert sum(line["scores"].values()) != pytest.approx(1.0, abs=1e-3), "each by itself"
    assert main(["predict", str(final), str(cells), "--out", str(tmp_path / "said.csv")]) == 0
    with (tmp_path / "said.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == 24
    capsys.readouterr()

    labelled = tmp_path / "labelled"
    labelled.mkdir()
    (labelled / "validation.tsv").write_text(cells.read_text())
    (tmp_path / "films.yaml").write_text(
        "{name: multi_label_classification, inputs: [text], label: genres, label_separator: '|', "
        "labels: [comedy, drama, war]}\n"
    )
    task = ["--task", str(tmp_path / "films.yaml"), "--data", str(labelled), "--json"]
    assert main(["evaluate", str(final), *task]) == 0
    (scored,) = json.loads(capsys.readouterr().out)
    predicted = [set(json.loads(row["prediction"])) for row in read]
    exact = np.mean([names == set(labels) for names, (_, labels) in zip(predicted, rows(), strict=True)])
    assert scored["figures"]["subset_accuracy"] == pytest.approx(exact)


def test_lists_tell_the_kind_by_themselves(tmp_path: Path, recipe: str, capsys):
    path = tmp_path / "films.jsonl"
    path.write_text("".join(json.dumps({"text": t, "labels": names}) + "\n" for t, names in rows()))
    assert main(["finetune", recipe, f"task={path}", "--dry-run"]) == 0
    told = "".join(capsys.readouterr())
    assert "name: multi_label_classification" in told
    assert "[comedy, drama, war]" in told


def config(**given):
    block = {"name": "multi_label_classification", "inputs": ("text",), "labels": ("a", "b", "c")} | given
    return registry.config("tasks", "multi_label_classification").model_validate(block)


@pytest.mark.parametrize(
    ("given", "value", "expected"),
    [
        ({}, ["a", "c"], (1.0, 0.0, 1.0)),
        ({}, "c, a", (1.0, 0.0, 1.0)),
        ({}, "", (0.0, 0.0, 0.0)),
        ({}, [], (0.0, 0.0, 0.0)),
        ({}, [0, 2], (1.0, 0.0, 1.0)),
        ({"label_separator": " / "}, "b / c", (0.0, 1.0, 1.0)),
        ({"labels": ("로맨스", "호러")}, ["호러"], (0.0, 1.0)),
    ],
)
def test_labels_are_read_from_lists_and_cells(given: dict, value: object, expected: tuple[float, ...]):
    example = config(**given).example(Row("films.jsonl:3", {"text": "x", "labels": value}), labelled=True)
    assert example.label == expected


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a;b", 'holds "a;b"'),
        (["a", "x"], 'holds "x"'),
        (None, "a list of labels is expected"),
        (3.5, "a list"),
    ],
)
def test_what_is_no_set_of_labels_is_told_with_its_place(value: object, told: str):
    from nlptool.errors import DataError

    with pytest.raises(DataError, match=r"films\.jsonl:3: column 'labels'") as error:
        config().example(Row("films.jsonl:3", {"text": "x", "labels": value}), labelled=True)
    assert told in error.value.message


def test_a_separator_within_a_label_is_refused():
    with pytest.raises(ValueError, match="stands within the label"):
        config(labels=("a, b", "c"))


def test_metrics_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    predicted, labels = rng.random((40, 5)) < 0.4, rng.random((40, 5)) < 0.3
    predicted[:, 4] = labels[:, 4] = False
    found = multi_label.scores(multi_label.METRICS, predicted, labels)
    assert found["micro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="micro"), abs=1e-12)
    macro = metrics.f1_score(labels, predicted, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(macro, abs=1e-12)
    assert found["subset_accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted), abs=1e-12)
