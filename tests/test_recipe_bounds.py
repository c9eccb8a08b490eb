"""Extreme recipes: an immediate error, never a hang or exhausted memory."""

import os
import time
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.recipe.yaml_nodes import MOST_VALUES

BASE = "store: t\nmodel: {name: bert}\nobjective: {name: mlm}\ntrain: {steps: 5}\nout: r\n"


def refused(tmp_path: Path, text: str, capsys, *arguments: str) -> str:
    path = tmp_path / "hostile.yaml"
    path.write_text(text, encoding="utf8")
    started = time.monotonic()
    assert main(["pretrain-mlm", str(path), "--dry-run", *arguments]) == 2
    assert time.monotonic() - started < 20
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "defect" not in error
    assert len(error) < 8000
    return error


@pytest.mark.parametrize("levels", [6, 9])
def test_aliases_that_multiply_are_refused(levels: int, tmp_path: Path, capsys):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    assert f"more than {MOST_VALUES:,} values" in refused(tmp_path, "\n".join(lines), capsys)


def test_a_block_that_is_too_deep_is_refused(tmp_path: Path, capsys):
    error = refused(tmp_path, "a: " + "[" * 60 + "]" * 60, capsys)
    assert "deep" in error


def test_thousands_of_unknown_keys_are_counted_not_listed(tmp_path: Path, capsys):
    keys = "".join(f"key{n}: 1\n" for n in range(3000))
    error = refused(tmp_path, BASE + keys, capsys)
    assert "problems in" in error
    assert "and 2,980 more" in error


def test_a_file_that_is_no_recipe_by_its_size_is_refused(tmp_path: Path, capsys):
    assert "more than 1,000,000 bytes" in refused(tmp_path, BASE + "x: '" + "y" * 1_100_000 + "'\n", capsys)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("model.layers=3000000000", "model.layers=3000000000: expected at most 10,000"),
        ("model={name: bert, layers: 10000, hidden: 1048576}", "have 1e+17 parameters; at most 1e+14"),
        ("model.hidden=99999999999", "model.hidden=99999999999: expected at most 1,048,576"),
        ("model.max_positions=1" + "0" * 17, ": expected at most 16,777,216"),
        ("train.batch_size=9007199254740993", ": expected at most 16,777,216"),
        ("train.steps=1" + "0" * 18, ": expected at most 1,000,000,000,000"),
        ("seed=" + str(2**128), ": a whole number of more than 63 bits"),
        ("seed=0x" + "f" * 5000, ": a number of 5,002 characters"),
        ("train.lr=1e999", ": expected a number above 0; found inf"),
        (r'tokens="\ud800"', ": half of a surrogate pair"),
        (r'store="a\0b"', ": no token store at a"),
        ("store=" + "a" * 300, "aaa...: File name too long"),
    ],
)
def test_a_value_beyond_all_bounds_is_named_with_its_key(change: str, told: str, tmp_path: Path, capsys):
    assert told in refused(tmp_path, BASE, capsys, change)


@pytest.mark.parametrize("recipe", ["x" * 300, "x" * 5000, "a/" * 3000])
def test_a_recipes_name_may_be_too_long_for_a_file(recipe: str, capsys):
    assert main(["pretrain-mlm", recipe]) == 2
    error = capsys.readouterr().err
    assert "no such recipe" in error
    assert len(error) < 500


def test_a_list_of_many_labels_is_no_bomb(tmp_path: Path):
    from nlptool.recipe.source import read

    path = tmp_path / "labels.yaml"
    path.write_text("labels:\n" + "".join(f"  - code {n}\n" for n in range(4000)))
    assert len(read(path).data["labels"]) == 4000


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert main(["pretrain-mlm", str(tmp_path / "pipe")]) == 2
    assert "the recipe is empty" in capsys.readouterr().err
