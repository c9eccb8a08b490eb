"""Tables on a terminal: text wraps, numbers do not break, and wide tables are transposed."""

import io
import re

import pytest
from rich.console import Console

from nlptool.text_table import fitted


def shown(columns: list[str], rows: list[list[str]], width: int = 80) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, markup=False)
    console.print(fitted(columns, rows, [False] * len(columns), width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


NUMBERS = ["61.3 % ± 1.2", "1,234,567,890", "2m31s", "100.0 % (51.0 to 100.0)", "1.2 GB", "-0.5"]


@pytest.mark.parametrize("width", [200, 80, 60, 40])
@pytest.mark.parametrize("rows", [1, 2, 9])
def test_no_number_is_broken_at_any_width(width: int, rows: int):
    columns = ["run", *(f"a figure with a long name {n}" for n in range(len(NUMBERS)))]
    lines = shown(columns, [[f"run {row}", *NUMBERS] for row in range(rows)], width)
    for number in NUMBERS:
        assert sum(line.count(number) for line in lines) == rows
    assert max(map(len, lines)) <= width


def test_text_wraps_between_words_beside_whole_numbers():
    lines = shown(["name", "what it is"], [["12,345 steps", "a text with 1,234,567 parameters in it"]], 40)
    assert lines == [
        "name          what it is",
        "12,345 steps  a text with 1,234,567",
        "              parameters in it",
    ]


def test_what_a_cell_says_of_its_number_may_stand_below_it_and_an_interval_may_not():
    lines = shown(["task", "majority"], [["x", "66.2 (mean of labels)"], ["y", "1.0 (0.5 to 1.5)"]], 23)
    assert lines == ["task  majority", "x     66.2 (mean of", "      labels)", "y     1.0 (0.5 to 1.5)"]


def test_a_table_that_is_too_wide_is_turned_round():
    columns = ["run", *(f"loss{n}" for n in range(9))]
    lines = shown(columns, [["a", *["1.000"] * 9], ["b", *["2.000"] * 9]], 40)
    assert lines[:3] == ["run    a      b", "loss0  1.000  2.000", "loss1  1.000  2.000"]


def test_rows_that_fit_neither_way_stand_below_each_other():
    rows = [[f"run {n}", *["100.0 % (51.0 to 100.0)"] * 5] for n in range(5)]
    lines = shown(["run", *"abcde"], rows, 60)
    assert lines[:2] == ["run  run 0", "a    100.0 % (51.0 to 100.0)"]
    assert sum(bool(re.match("run  run", line)) for line in lines) == 5


def test_wide_letters_count_as_two():
    lines = shown(["이름", "수"], [["아주 긴 한국어 이름과 설명", "12,345"]], 24)
    assert any("12,345" in line for line in lines)
    assert not any("12," in line and "12,345" not in line for line in lines)


def test_a_table_without_rows_shows_its_headings():
    assert shown(["a", "b"], []) == ["a  b"]
