import bz2
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet
import pytest

from nlptool.errors import DataError
from nlptool.text import row_formats, tabular

TWO = [{"a": "one", "label": 1}, {"a": "zwei\tdrei", "label": 0}]


def read(folder: Path, split: str = "train") -> list[tabular.Row]:
    return list(tabular.read(tabular.files(folder, split)))


def write(folder: Path, name: str, content: str | bytes) -> Path:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def test_every_format_gives_the_same_rows(tmp_path: Path):
    jsonl = "".join(json.dumps(row) + "\n" for row in TWO)
    packed = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    for suffix, compress in packed.items():
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        write(folder, f"train.jsonl{suffix}", compress(jsonl.encode()))
        assert [row.values for row in read(folder)] == TWO
    folder = tmp_path / "parquet"
    folder.mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(TWO[:1]), folder / "train-00000-of-00002.parquet")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(TWO[1:]), folder / "train-00001-of-00002.parquet")
    assert [row.values for row in read(folder)] == TWO


@pytest.mark.parametrize("indent", [None, 1])
def test_json_may_also_be_one_value_over_many_lines_or_an_array(tmp_path: Path, indent: int | None):
    write(tmp_path, "train.json", json.dumps(TWO, indent=indent))
    assert [(row.place.rpartition(" ")[2], row.values) for row in read(tmp_path)] == [
        ("[0]", TWO[0]),
        ("[1]", TWO[1]),
    ]
    write(tmp_path, "train.json", json.dumps({"data": TWO}, indent=indent))
    assert [row.values for row in read(tmp_path)] == [{"data": TWO}]
    write(tmp_path, "train.json", "".join(json.dumps(row) + "\n" for row in TWO))
    assert [row.values for row in read(tmp_path)] == TWO


@pytest.mark.parametrize("text", ['{\n "data": [\n', "[1, 2]", "[{}"])
def test_json_that_is_no_row_is_told_with_its_file(tmp_path: Path, text: str):
    write(tmp_path, "train.json", text)
    with pytest.raises(DataError, match=r"train\.json: "):
        read(tmp_path)


def test_half_a_character_is_told_with_its_line(tmp_path: Path):
    write(tmp_path, "train.jsonl", '{"a": "\\ud83d\\ude00 \\ud55c"}\n{"a": ["x \\ud83d"]}\n')
    with pytest.raises(DataError, match=r"train.jsonl:2: \\ud83d is half of a character"):
        read(tmp_path)


def test_a_quotation_mark_in_a_tsv_is_a_character(tmp_path: Path):
    write(tmp_path, "train.tsv", 'a\tlabel\n"never closed\t1\nsaid ""so""\t0\n')
    assert [row.values["a"] for row in read(tmp_path)] == ['"never closed', 'said ""so""']


def test_quoted_values_of_a_csv_may_hold_commas_and_line_ends(tmp_path: Path):
    write(tmp_path, "train.csv", 'a,label\n"one, two\nthree",1\nfour,0\n')
    first, second = read(tmp_path)
    assert first.values == {"a": "one, two\nthree", "label": "1"}
    assert second.place.endswith("train.csv:4")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.tsv", "a\tlabel\r\none\t1\r\n\r\n"),
        ("train.csv", "a,label\r\none,1\r\n"),
        ("train.jsonl", '{"a": "one", "label": "1"}\r\n\r\n'),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_windows_line_ends_and_byte_order_marks_are_no_text(name: str, text: str, mark: str, tmp_path: Path):
    write(tmp_path, name, mark + text)
    assert [row.values for row in read(tmp_path)] == [{"a": "one", "label": "1"}]


class Fault(NamedTuple):
    """A file, and what must be said of it."""

    name: str
    content: str | bytes
    said: str
    hint: str = ""


FAULTS = [
    Fault("train.jsonl", '{"a": 1}\n{"a": \n', "train.jsonl:2: broken JSON"),
    Fault("train.jsonl", "[1]\n", "train.jsonl:1: expected an object", "jq"),
    Fault("train.jsonl", b'{"a": "one"}\n{"a": "\xe9"}\n', "train.jsonl:2: the byte 0xe9", "iconv"),
    Fault(
        "train.csv",
        "리뷰,감정\n재미있다,긍정\n".encode("cp949"),
        "train.csv:1: the byte 0xb8",
        "iconv -f CP949",
    ),
    Fault("train.csv", "리뷰,감정\n".encode("utf-16"), "train.csv:1: the byte 0xff", "iconv -f UTF-16"),
    Fault(
        "train.csv",
        "文字,标签\n我们去公园,好\n".encode("gb18030"),
        "train.csv:1: the byte 0xce",
        "GB18030 for Chinese",
    ),
    Fault("train.csv", b"PK\x03\x04\xff", "train.csv:1: the byte 0xff", "save what it holds as CSV"),
    Fault("train.tsv", "a\tlabel\none\ttwo\t1\n", "train.tsv:2: 3 values, but the header names 2", "tabs"),
    Fault("train.csv", "a,label\none,two,1\n", "train.csv:2: 3 values, but the header names 2"),
    Fault("train.csv", 'a,label\n"one,1\n', "train.csv:2: broken CSV", "quotation"),
    Fault("train.jsonl.gz", gzip.compress(b'{"a": "one"}\n' * 9999)[:-40], "breaks off or is damaged"),
    Fault("train.parquet", "no table", "breaks off or is damaged"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.said)
def test_a_fault_is_told_with_its_file_and_line(fault: Fault, tmp_path: Path):
    write(tmp_path, fault.name, fault.content)
    with pytest.raises(DataError) as told:
        read(tmp_path)
    assert fault.said in told.value.message
    assert fault.hint in (told.value.hint or "")


@pytest.mark.parametrize(
    ("name", "content", "suffix"),
    [("train.tsv", "a;b\nx;1\n", ".csv"), ("train.tsv", "a,b\nx,1\n", ".csv")],
)
def test_a_wrong_separator_is_named(name: str, content: str, suffix: str, tmp_path: Path):
    (row,) = read(write(tmp_path, name, content))
    with pytest.raises(DataError, match=rf"{name}:2: no column 'a'; .*name the file \{suffix}"):
        row.get("a")


def test_a_split_that_is_not_there_has_no_files_and_two_are_refused(tmp_path: Path):
    write(tmp_path, "train.jsonl", "")
    assert tabular.files(tmp_path, "validation") == []
    write(tmp_path, "train.csv", "a\n")
    write(tmp_path, "train_notes.jsonl", "")
    with pytest.raises(DataError, match=r"2 files for the split train: train.csv, train.jsonl"):
        tabular.files(tmp_path, "train")
    with pytest.raises(DataError, match="no such folder"):
        tabular.files(tmp_path / "nowhere", "train")


def test_rows_of_the_hub_are_numbered_and_a_failure_names_the_way_out(monkeypatch: pytest.MonkeyPatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def load(name: str, subset: str | None, split: str, streaming: bool) -> list[dict]:
        asked.append((name, subset, split))
        if split != "train":
            raise ConnectionError("no route to the hub")
        return TWO

    monkeypatch.setattr(datasets, "load_dataset", load)
    found = list(tabular.hub("nyu-mll/glue", "sst2", "train"))
    assert [row.values for row in found] == TWO
    assert found[1].place == "nyu-mll/glue/train:2"
    with pytest.raises(DataError, match="no route to the hub") as told:
        list(tabular.hub("nyu-mll/glue", "sst2", "test"))
    assert "data=FOLDER" in told.value.hint
    assert asked == [("nyu-mll/glue", "sst2", "train"), ("nyu-mll/glue", "sst2", "test")]


@pytest.mark.parametrize(("name", "header"), [("a.csv", "text,label,label"), ("a.tsv", "text\tlabel\tlabel")])
def test_a_header_that_names_a_column_twice_is_told(name: str, header: str, tmp_path: Path):
    write(tmp_path, name, f"{header}\n")
    with pytest.raises(DataError, match=f"{name}:1: the header names 'label' twice"):
        read(tmp_path, "a")


@pytest.mark.parametrize(
    ("content", "columns", "found"),
    [
        ("review;stars\nfine, but long;4,5\n", (), [{"review": "fine, but long", "stars": "4,5"}]),
        ('review;stars\n"a; b\nc";1\n', (), [{"review": "a; b\nc", "stars": "1"}]),
        ("review\tstars\nfine; yes\t1\n", (), [{"review": "fine; yes", "stars": "1"}]),
        ("review,stars\na;b,1\n", (), [{"review": "a;b", "stars": "1"}]),
        ("review\na;b\n", (), [{"review": "a;b"}]),
        ("a;b\n", ("review",), [{"review": "a;b"}]),
        ("a;b\n", ("review", "stars"), [{"review": "a", "stars": "b"}]),
        ("", (), []),
    ],
)
def test_the_first_line_tells_what_stands_between_values(
    content: str, columns: tuple[str, ...], found: list[dict]
):
    rows = row_formats.csv_rows("rows.csv", io.BytesIO(content.encode()), columns)
    assert [row.values for row in rows] == found


def test_a_first_line_that_is_no_text_is_told_once():
    first, second, third = row_formats.csv_rows("rows.csv", io.BytesIO(b"\xff\na,b\n1,2\n\xff\n"))
    assert [first.message.partition(": ")[0], third.message.partition(": ")[0]] == [
        "rows.csv:1",
        "rows.csv:4",
    ]
    assert second.values == {"a": "1", "b": "2"}
