"""Formats of input rows, also by the first line of standard input."""

import io
import sys
from pathlib import Path

import pytest

from nlptool.errors import UsageError
from nlptool.text import input_rows


@pytest.mark.parametrize(
    ("piped", "form", "values"),
    [
        (' {"문장": "하나, 둘"}\n', "jsonl", ["하나, 둘"]),
        ('\ufeff[\n {"문장": "하나"}, {"문장": "둘"}\n]\n', "jsonl", ["하나", "둘"]),
        ("[하나] 둘\n", "lines", ["[하나] 둘"]),
        ('id,문장\n1,"하나, 둘"\n', "csv", ["하나, 둘"]),
        ("\ufeffid\t문장\r\n1\t하나, 둘\r\n", "tsv", ["하나, 둘"]),
        ('"id";"문장"\n1;"하나, 둘"\n', "csv", ["하나, 둘"]),
        ("하나, 둘\nid,문장은 아니다\n", "lines", ["하나, 둘", "id,문장은 아니다"]),
        ("문장, 그리고 둘\n하나\n", "lines", ["문장, 그리고 둘", "하나"]),
        (",문장\n0,하나\n", "csv", ["하나"]),
        ("{하나}, 둘\n", "lines", ["{하나}, 둘"]),
        ("문장\n하나\n", "lines", ["문장", "하나"]),  # as well may be a text
        ("", "lines", []),
    ],
)
def test_a_first_line_shows_how_standard_input_is_written(
    piped: str, form: str, values: list[str], monkeypatch: pytest.MonkeyPatch
):
    buffer = io.BufferedReader(io.BytesIO(piped.encode()))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(buffer))
    assert input_rows.format_of("-", texts=("문장",)) == form
    assert [row.get("문장") for row in input_rows.read("-", texts=("문장",))] == values  # type: ignore[union-attr]


def test_a_table_called_txt_is_known_by_its_header(tmp_path: Path):
    path = tmp_path / "ratings_test.txt"
    path.write_text("id\tdocument\tlabel\n1\t그 영화\t0\n", encoding="utf-8-sig")
    assert input_rows.format_of(str(path), texts=("document",)) == "tsv"
    assert input_rows.format_of(str(path), texts=("sentence",)) == "lines"


def test_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        input_rows.read("-")
