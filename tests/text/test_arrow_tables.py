"""Parquet and Arrow files: their rows, the data sets that `datasets` saves, the names of classes that they note."""

import json
from pathlib import Path

import pyarrow
import pyarrow.feather
import pytest

from nlptool.commands.finetune.recipe import Recipe
from nlptool.errors import DataError
from nlptool.recipe import load
from nlptool.tasks.config import TaskConfig
from nlptool.tasks.labelled import LabelledSource
from nlptool.text import arrow_tables, sources, tabular
from nlptool.text.config import Source
from nlptool.text.readers import read_parquet

datasets = pytest.importorskip("datasets")
ROWS = {"text": ["좋다", "나쁘다 😀", "Ça va"] * 200, "label": [0, 1, 2] * 200}


def data_set(names: list[str] | None = None) -> "datasets.Dataset":
    made = datasets.Dataset.from_dict(ROWS)
    return made if names is None else made.cast_column("label", datasets.ClassLabel(names=names))


def task_of(given: Path, *changes: str) -> TaskConfig:
    recipe = given.parent / "recipe.yaml"
    recipe.write_text("task: glue/sst2\ninit_from: model\nout: run\n")
    return load(recipe, [f"task={given}", *changes], Recipe).recipe.task


def test_every_form_has_the_same_rows(tmp_path: Path):
    table = pyarrow.table(ROWS)
    data_set().to_parquet(tmp_path / "rows.parquet")
    pyarrow.feather.write_feather(table, str(tmp_path / "file.arrow"), compression="uncompressed")
    with pyarrow.ipc.new_stream(str(tmp_path / "stream.arrow"), table.schema) as writer:
        writer.write_table(table)
    for name in ("rows.parquet", "file.arrow", "stream.arrow"):
        file = tabular.of_rows(tmp_path / name)
        assert file is not None
        assert [row.values for row in tabular.read([file])] == table.to_pylist()
        assert [record.text for record in read_parquet(file, "text", ["label"])] == ROWS["text"]
        (missing,) = read_parquet(file, "body")
        assert "no field 'body'; it has text, label" in missing.detail


def test_a_field_in_a_field_is_read(tmp_path: Path):
    table = pyarrow.table({"doc": [{"text": "강", "id": 1}], "other": [1]})
    with pyarrow.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    (record,) = read_parquet(tabular.of_rows(tmp_path / "a.arrow"), "doc.text", ["other"])
    assert (record.text, record.fields["other"]) == ("강", 1)


@pytest.mark.parametrize("content", [b"", b"no table at all", b"ARROW1\0\0broken", b"PAR1broken"])
def test_a_broken_file_is_told_with_its_name(content: bytes, tmp_path: Path):
    (tmp_path / "rows.arrow").write_bytes(content)
    with pytest.raises(DataError, match=r"rows\.arrow: the file breaks off or is damaged"):
        list(tabular.read([tabular.of_rows(tmp_path / "rows.arrow")]))


def test_a_saved_data_set_is_a_task_with_the_names_of_its_classes(tmp_path: Path):
    names = ["positive", "negative", "neutral"]  # not in the order of their letters
    splits = {"train": data_set(names), "validation": data_set(names).select(range(6))}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "train" / "cache-1.arrow").write_bytes(b"what map has left")
    task = task_of(tmp_path / "saved")
    assert (task.name, task.inputs, task.label, task.labels) == (
        "classification",
        ("text",),
        "label",
        tuple(names),
    )
    assert task.holdout is None
    read = list(LabelledSource(task, None).read("validation"))
    assert [row.values["text"] for row in read] == ROWS["text"][:6]
    assert [task.example(row, labelled=True).label for row in read[:3]] == [(0.0,), (1.0,), (2.0,)]
    data_set(names).save_to_disk(tmp_path / "one")
    assert task_of(tmp_path / "one").holdout == pytest.approx(0.1)
    data_set(names).to_parquet(tmp_path / "one.parquet")
    assert task_of(tmp_path / "one.parquet").labels == tuple(names)
    assert task_of(tmp_path / "one.parquet", 'task.label_map={"2": null}').labels == ("0", "1")
    data_set(["1", "2", "3"]).to_parquet(tmp_path / "stars.parquet")
    assert task_of(tmp_path / "stars.parquet").labels == ("0", "1", "2"), "numbers stay what rows hold"


def test_tags_and_lists_of_labels_have_names_too(tmp_path: Path):
    tags = datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]))
    tagged = datasets.Dataset.from_dict({"tokens": [["김민수", "서울"]] * 40, "ner_tags": [[1, 3]] * 40})
    tagged.cast_column("ner_tags", tags).save_to_disk(tmp_path / "tagged")
    assert task_of(tmp_path / "tagged").labels == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    several = datasets.Dataset.from_dict({"text": ["가", "나"] * 20, "labels": [[1], [0, 2]] * 20})
    feelings = datasets.Sequence(datasets.ClassLabel(names=["joy", "anger", "fear"]))
    several.cast_column("labels", feelings).save_to_disk(tmp_path / "several")
    assert task_of(tmp_path / "several").labels == ("joy", "anger", "fear")
    old = {"info": {"features": {"tags": [{"names": ["O", "X"], "_type": "ClassLabel"}], "n": 1}}}
    schema = pyarrow.schema(
        {"tags": pyarrow.list_(pyarrow.int64())}, metadata={"huggingface": json.dumps(old)}
    )
    with pyarrow.ipc.new_stream(str(tmp_path / "old.arrow"), schema):
        pass
    assert arrow_tables.class_names(tmp_path / "old.arrow") == {"tags": ("O", "X")}


def test_the_text_of_a_saved_data_set_is_read_without_its_notes(tmp_path: Path):
    datasets.DatasetDict({"train": data_set(), "test": data_set()}).save_to_disk(tmp_path / "saved")
    found = sources.files(Source(files=(str(tmp_path / "saved"),)))
    assert [file.path.name for file in found] == ["data-00000-of-00001.arrow"] * 2
