"""Records of readers, or errors for unreadable ones; and a record's text in its fields."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from nlptool.formatting import json_kind

SEPARATORS = {";": "';'", "\t": "'\\t'", "|": "'|'", ",": "','"}  # as written on the command line


class Record(NamedTuple):
    """A text: a document, or a part of one. `line` is its first line (parquet: row), counted from 1."""

    line: int
    text: str
    cut: bool = False  # the document continues in the next record
    fields: Mapping[str, object] | None = None  # the object that it is a field of


class BadRecord(NamedTuple):
    """A record or document that could not be read."""

    line: int
    reason: str  # its category in the counts
    detail: str  # what was found, what was expected
    hint: str


Read = Iterator[Record | BadRecord]


def at_field(record: object, field: str, line: int) -> Record | BadRecord:
    """The text of a record's field; dots lead into objects: `doc.text`."""
    if not isinstance(record, dict):
        found = f"a {json_kind(type(record))}; an object with the field '{field}' is expected"
        return BadRecord(line, "not an object", found, "fix or remove the line")
    value: object = record.get(field)
    if field not in record:
        value = record
        for name in field.split("."):
            if not isinstance(value, dict) or name not in value:
                return no_field(record, field, line)
            value = value[name]
    if value is None:  # null means empty text in tables
        return Record(line, "", fields=record)
    if not isinstance(value, str):
        inside = [f"{field}.{name}" for name in _texts(value)] if isinstance(value, Mapping) else []
        found = f"the field '{field}' holds a {json_kind(type(value))}; a string is expected"
        return BadRecord(
            line, "not a string", found, f"name another field: source.field={(inside or ['NAME'])[0]}"
        )
    return Record(line, value, fields=record)


def no_field(record: Mapping[str, object], field: str, line: int) -> BadRecord:
    """The message about a missing field: existing names, and the closest one, also in nested objects."""
    names = [str(name) for name in record]
    found = f"no field '{field}'; it has {', '.join(names[:8]) or 'none'}{', ...' if names[8:] else ''}"
    if len(names) == 1 and (separator := next((one for one in SEPARATORS if one in names[0]), None)):
        hint = f"if these are several columns, set source.delimiter={SEPARATORS[separator]}"
        return BadRecord(line, "no field", found, hint)
    paths = [f"{name}.{inner}" for name, value in record.items() for inner in _texts(value)]
    close = [path for path in paths if path.split(".")[-1] == field] or get_close_matches(field, names, n=1)
    hint = f"set source.field={(close or paths or names or ['NAME'])[0]}"
    return BadRecord(line, "no field", found, hint)


def _texts(value: object) -> list[str]:
    """Paths to the texts of an object."""
    if not isinstance(value, Mapping):
        return []
    paths = []
    for name, inner in value.items():
        paths += [str(name)] if isinstance(inner, str) else [f"{name}.{path}" for path in _texts(inner)]
    return paths
