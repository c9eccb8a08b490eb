"""Files in SQuAD's own form: articles with paragraphs with questions, in one JSON object."""

from collections.abc import Iterable, Iterator
from typing import Any

from nlptool.errors import DataError
from nlptool.text.row import Row


def questions(row: Row) -> Iterable[Row]:
    """The questions of a SQuAD file, with nested data, paragraphs and qas; any other row unchanged.

    Raises DataError for a file whose objects are not nested like this.
    """
    return _nested(row) if isinstance(row.values.get("data"), list) else (row,)


def _nested(row: Row) -> Iterator[Row]:
    for at, article in enumerate(row.values["data"]):
        for inside, paragraph in enumerate(_inner(row.place, f"data[{at}]", article, "paragraphs")):
            place = f"data[{at}].paragraphs[{inside}]"
            for number, question in enumerate(_inner(row.place, place, paragraph, "qas")):
                here = f"{row.place}: {place}.qas[{number}]"
                if not isinstance(question, dict):
                    raise DataError(f"{here}: an object with question, id and answers is expected")
                shared = {"title": article.get("title"), "context": paragraph.get("context")}
                yield Row(here, {**shared, **question})


def _inner(file: str, place: str, value: Any, key: str) -> list[Any]:
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        raise DataError(
            f"{file}: {place}: a list '{key}' is expected, as in SQuAD's files",
            hint="if 'data' holds the rows themselves, write them as an array: jq .data FILE",
        )
    found: list[Any] = value[key]
    return found
