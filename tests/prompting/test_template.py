"""Templates: columns in braces, and no other syntax."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nlptool.errors import DataError
from nlptool.prompting.template import Template, columns, fill, fill_each
from nlptool.text.tabular import Row

ROW = Row(
    "x.jsonl:3",
    {"q": "Why? {sic}", "n": 7, "o": {"text": ["a", "b"]}, "pairs": [{"t": "x"}, {"t": "y"}], "no": None},
)


def test_columns_are_put_in_and_nothing_in_them_is_read_again():
    assert fill("Q: {q} {n}\nA:", ROW) == "Q: Why? {sic} 7\nA:"


def test_doubled_braces_are_braces():
    assert fill("{{q}} {n}", ROW) == "{q} 7"


def test_a_list_makes_a_text_for_each_entry():
    assert fill_each("{n}: {o.text}", ROW) == ["7: a", "7: b"]
    assert fill_each("{pairs.t}", ROW) == ["x", "y"]
    assert fill_each("{q}", ROW) == ["Why? {sic}"]


def test_the_columns_of_a_template_are_known():
    assert list(columns("{a} {{b}} {c.d}")) == ["a", "c.d"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{goal}", "x.jsonl:3: no column 'goal'; it has q, n, o, pairs, no"),
        ("{o}", 'x.jsonl:3: column \'o\' holds {"text": ["a", "b"]}; a text or a number is expected'),
        ("{o.text}", "a text or a number is expected"),
        ("{no}", "column 'no' holds null"),
    ],
)
def test_what_is_no_text_is_told_with_its_row(template: str, message: str):
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        fill(template, ROW)


def test_lists_of_different_length_do_not_go_together():
    row = Row("x:1", {"a": ["1", "2"], "b": ["1"]})
    with pytest.raises(DataError, match="x:1: the lists in a, b differ in length"):
        fill_each("{a}{b}", row)


@pytest.mark.parametrize("template", ["{q", "q}", "{}", "{ q}", "{a..b}", "{a.}"])
def test_a_slip_in_a_template_is_found_before_any_row_is_read(template: str):
    with pytest.raises(ValidationError, match=r"brace by itself|names no column"):
        TypeAdapter(Template).validate_python(template)
