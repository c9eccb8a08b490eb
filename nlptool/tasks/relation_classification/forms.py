"""The forms of relation data sets, recognised by a row's columns."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.tasks import marked_text
from nlptool.tasks.marked_text import ANNOTATIONS, Mention
from nlptool.text.tabular import Row, whole

FORMS = {
    "ERNIE's": "text, ents [[entity, begin, end, score] of head and tail], label",
    "FewRel's": "tokens, h and t [name, entity, [[words]]] or head and tail {text, type, indices}, relation",
    "TACRED's": "token, subj_start, subj_end, obj_start, obj_end, relation",
    "KLUE-RE's": "sentence, subject_entity and object_entity {word, start_idx, end_idx}, label",
}


class Relation(NamedTuple):
    """A row before marking."""

    text: str
    head: Mention
    tail: Mention
    linked: list[Mention]
    """The mentions to link."""


def read(row: Row, threshold: float) -> Relation:
    """Read a row in any of the forms. Raises DataError, with the row's place."""
    if marked_text.has(row, "text", "ents"):
        text, head, tail = _ernie(row)
    elif marked_text.has(row, "tokens"):
        text, head, tail = _fewrel(row)
    elif marked_text.has(row, "token", "subj_start"):
        text, head, tail = _tacred(row)
    elif marked_text.has(row, "sentence", "subject_entity"):
        text, head, tail = _klue(row)
    else:
        raise marked_text.no_form(row, FORMS)
    linked = [head, tail]
    if ANNOTATIONS in row.values:
        linked = marked_text.annotations(row, ANNOTATIONS, text, threshold)
    return Relation(text, head, tail, linked)


def label_column(row: Row) -> str:
    """The column of the relation: `relation` in FewRel and TACRED, `label` in the others."""
    return "relation" if "relation" in row.values else "label"


def flat(row: Row, labels: Sequence[str]) -> Iterable[Row]:
    """The rows of an object whose keys are relations, as in FewRel's own files; any other row unchanged."""
    if not row.values or not all(isinstance(rows, list) for rows in row.values.values()):
        return (row,)
    if any(name in row.values for name in ("tokens", "token")) or not set(row.values) & set(labels):
        return (row,)
    return (
        Row(f"{row.place}: {relation}[{number}]", {**one, "relation": relation})
        for relation, rows in row.values.items()
        for number, one in enumerate(rows)
        if isinstance(one, dict)
    )


def _ernie(row: Row) -> tuple[str, Mention, Mention]:
    text, given = marked_text.text_of(row, "text"), row.get("ents")
    if not isinstance(given, list) or len(given) != 2:
        raise DataError(f"{row.place}: column 'ents' holds {json_value(given)}; head and tail are expected")
    head, tail = (marked_text.mention(row, "ents", text, one) for one in given)
    return text, head, tail


def _fewrel(row: Row) -> tuple[str, Mention, Mention]:
    text, begins = marked_text.words(row, "tokens")
    names = ("h", "t") if "h" in row.values else ("head", "tail")
    head, tail = (_of_words(row, name, begins) for name in names)
    return text, head, tail


def _of_words(row: Row, column: str, begins: list[int]) -> Mention:
    """A mention by the indices of its words, the first of several."""
    given = row.get(column)
    if isinstance(given, dict):
        entity, places = given.get("type"), given.get("indices")
    else:
        whole_list = isinstance(given, list) and len(given) == 3
        entity, places = (given[1], given[2]) if whole_list else (None, None)
    numbers = places[0] if isinstance(places, list) and places else None
    if not isinstance(numbers, list) or not numbers:
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(given)}; a name, an entity and lists of words' numbers "
            "are expected"
        )
    stretch = marked_text.words_stretch(row, column, begins, numbers[0], numbers[-1])
    return Mention(*stretch, marked_text.entity_name(row, column, entity))


def _tacred(row: Row) -> tuple[str, Mention, Mention]:
    text, begins = marked_text.words(row, "token")
    head, tail = (
        Mention(
            *marked_text.words_stretch(
                row, f"{part}_start", begins, row.get(f"{part}_start"), row.get(f"{part}_end")
            )
        )
        for part in ("subj", "obj")
    )
    return text, head, tail


def _klue(row: Row) -> tuple[str, Mention, Mention]:
    text = marked_text.text_of(row, "sentence")
    head, tail = (_of_characters(row, f"{part}_entity", text) for part in ("subject", "object"))
    return text, head, tail


def _of_characters(row: Row, column: str, text: str) -> Mention:
    """A mention by its first and last character, checked against its text."""
    begin, last, word = (row.get(f"{column}.{name}") for name in ("start_idx", "end_idx", "word"))
    end: Any = whole(last)
    found = marked_text.stretch(row, column, text, whole(begin), None if end is None else end + 1)
    if text[slice(*found)] != word:
        raise DataError(
            f"{row.place}: column '{column}': the text has {json_value(text[slice(*found)])} there, not "
            f"{json_value(word)}",
            hint="start_idx is the first character, end_idx the last, counted from 0",
        )
    entity = row.values[column].get("id")
    return Mention(*found, marked_text.entity_name(row, column, entity))
