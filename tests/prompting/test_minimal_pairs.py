"""Folders of minimal pairs are read like the rows of the prompted task `blimp`."""

import gzip
import json
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.errors import DataError
from nlptool.prompting.multiple_choice import minimal_pairs

GOOD, BAD = "the river reads.", "the river read."


def write(path: Path, rows: list[dict]) -> None:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_a_pair_is_told_and_scores_nothing(content: str, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"sentence_good": GOOD, "sentence_bad": BAD}])
    (tmp_path / "b.jsonl").write_text(content)
    with pytest.raises(DataError, match=r"b\.jsonl: holds no minimal pair"):
        minimal_pairs.read(tmp_path)


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_pairs_are_read_up_to_the_most_that_are_wanted(tmp_path: Path, suffix: str) -> None:
    rows = [{"sentence_good": f"good {i}", "sentence_bad": f"bad {i}", "field": "x"} for i in range(5)]
    write(tmp_path / f"pairs.{suffix}", rows)
    assert minimal_pairs.read(tmp_path, 2) == {"pairs": [(" good 0", " bad 0"), (" good 1", " bad 1")]}
    assert len(minimal_pairs.read(tmp_path)["pairs"]) == 5


def test_a_table_of_pairs_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "korean.tsv").write_text("sentence_good\tsentence_bad\n종이 울린다.\t종이 울리다가.\n")
    (tmp_path / "README.md").write_text("pairs")
    assert minimal_pairs.read(tmp_path) == {"korean": [(" 종이 울린다.", " 종이 울리다가.")]}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "column 'sentence_bad' holds null; a text or a number is expected"),
        (["a", "b"], r'column .sentence_bad. holds \["a", "b"\]; a text or a number is expected'),
        ("", "the choices are .*none of them empty"),
        (" ", "the choices are .*none of them empty"),
    ],
)
def test_what_is_no_sentence_is_told_with_its_place_and_scores_nothing(
    value: object, told: str, tmp_path: Path
) -> None:
    write(
        tmp_path / "a.jsonl",
        [{"sentence_good": GOOD, "sentence_bad": BAD}, {"sentence_good": GOOD, "sentence_bad": value}],
    )
    with pytest.raises(DataError, match=f"a.jsonl:2: {told}"):
        minimal_pairs.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", b'{"good": "x"}\n', "a.jsonl:1: no column 'sentence_good'; it has good"),
        ("a.jsonl", b"not json\n", "a.jsonl:1: broken JSON"),
        ("a.jsonl", b"\xff\n", "a.jsonl:1: "),
        ("a.jsonl.gz", b"no gzip", "a.jsonl.gz: the file breaks off or is damaged"),
        ("a.txt", b"a sentence", "holds no file with minimal pairs"),
    ],
)
def test_what_is_no_pair_is_told_with_its_place(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=told):
        minimal_pairs.read(tmp_path)


def test_two_files_of_one_name_are_told(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.jsonl.gz"):
        write(tmp_path / name, [{"sentence_good": GOOD, "sentence_bad": BAD}])
    with pytest.raises(DataError, match=r"two files called a: a.jsonl, a.jsonl.gz"):
        minimal_pairs.read(tmp_path)


def test_evaluate_and_the_prompted_task_find_the_same_pairs_right(tiny_run: Path, tmp_path: Path, capsys):
    folder = tmp_path / "blimp"
    folder.mkdir()
    words = ("river", "bell", "town", "wood", "house", "winter", "horn", "stone")
    rows = [
        {"sentence_good": f"the {one} reads the {other}.", "sentence_bad": f"the {other} reads the {one}."}
        for one in words
        for other in words
        if one != other
    ]
    write(folder / "wh_island.jsonl", rows)
    final = str(tiny_run / "final")
    assert main(["evaluate", final, "--minimal-pairs", str(folder), "--json"]) == 0
    (pairs,) = json.loads(capsys.readouterr().out)
    out = f"out={tmp_path}/out"
    assert main(["prompt", "prompt/grammar", f"data={tmp_path}", f"models=[{final}]", out, "--json"]) == 0
    (asked,) = json.loads(capsys.readouterr().out)
    assert 0 < pairs["minimal_pairs"]["value"] < 1
    assert pairs["minimal_pairs"]["value"] == asked["scores"]["accuracy"]["value"]
