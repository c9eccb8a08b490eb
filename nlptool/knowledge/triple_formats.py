"""Readers of triples in other programs' formats: CSV, N-Triples, Wikidata's JSON dumps."""

import csv
import json
import re
import sys
from collections.abc import Iterator
from itertools import chain
from typing import IO, Any

from nlptool.knowledge.readers import COLUMNS, Read, Row, header_order, in_columns, picked, rows_of_lines
from nlptool.text.lines import RECORD, lines
from nlptool.text.records import BadRecord

IRI = r"<((?:[^<>\"{}|^`\\\s]++|\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8})*+)>"
TERM = rf"(?:{IRI}|(_:\S+))"
TRIPLE = re.compile(
    rf'^\s*{TERM}\s*{IRI}\s*(?:{TERM}|"(?:[^"\\]|\\.)*"\S*)\s*(?:<[^<>\s]*>\s*)?\.\s*(?:#.*)?$'
)
ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
WIKIDATA = re.compile(r"http://www\.wikidata\.org/(?:entity|prop/direct)/([A-Z]\d+)")


def read_csv(stream: IO[bytes], columns: tuple[str, ...] = COLUMNS) -> Read:
    """Read comma-separated values, quoted where needed; separated by semicolons or tabs if line 1 has no comma.

    A header names the columns, in any order and among others; `columns` names them without one.
    """
    return in_columns(_csv_rows(stream, columns))


def _csv_rows(stream: IO[bytes], columns: tuple[str, ...]) -> Iterator[Row | BadRecord]:
    csv.field_size_limit(RECORD)
    order, bad, text = list[int](), list[BadRecord](), lines(stream)

    def good() -> Iterator[str]:
        for line in text:
            if isinstance(line, BadRecord):
                bad.append(line)
            yield line if isinstance(line, str) else "\n"

    first = next(source := good(), "")
    separator = next((sign for sign in ",;\t" if sign in first), ",")
    rows = csv.reader(chain([first], source), delimiter=separator, strict=True)
    while True:
        number = rows.line_num + 1
        try:
            values = next(rows, None)
        except csv.Error as error:
            yield BadRecord(number, "broken CSV", f"broken CSV ({error})", "check the quotation marks")
            continue
        while bad:
            yield bad.pop()._replace(line=number)
        if values is None:
            break
        if not order:
            order = header_order(values)
            if order:
                continue
            order = [columns.index(name) for name in COLUMNS]
        if values:
            yield picked(values, order, number)


def read_ntriples(stream: IO[bytes]) -> Read:
    """Read N-Triples or N-Quads, without statements about literals such as labels; Wikidata's entities as Q42."""

    def row(text: str, line: int) -> Row | BadRecord | None:
        if text.lstrip().startswith("#"):
            return None
        found = TRIPLE.match(text)
        if found is None:
            what = "expected <subject> <predicate> <object> ."
            return BadRecord(line, "no statement", what, "fix the line, or name another source.format")
        head, relation, tail = found[1] or found[2], found[3], found[4] or found[5]
        return None if tail is None else (_short(head), _short(relation), _short(tail))

    return rows_of_lines(stream, row)


def _short(name: str) -> str:
    """A name without escapes; an entity or a property of Wikidata by its id."""
    if "\\" in name:
        name = ESCAPE.sub(lambda found: _character(int(found[1] or found[2], 16)), name)
    found = WIKIDATA.fullmatch(name)
    return found[1] if found else name


def _character(number: int) -> str:
    """The character of an escape; U+FFFD for a number of none."""
    return chr(number) if number <= sys.maxunicode and not 0xD800 <= number < 0xE000 else "\ufffd"


def read_wikidata(stream: IO[bytes]) -> Read:
    """Read a JSON dump of Wikidata: an array with an entity on each line.

    Each statement whose value is an entity is a triple. Deprecated statements are skipped.
    """
    return in_columns(_wikidata_rows(stream))


def _wikidata_rows(stream: IO[bytes]) -> Iterator[Row | BadRecord]:
    for number, line in enumerate(lines(stream), start=1):
        if isinstance(line, BadRecord):
            yield line._replace(line=number)
            continue
        text = line.strip().removesuffix(",")
        if text in ("", "[", "]"):
            continue
        try:
            yield from list(_statements(json.loads(text)))
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            found = "expected an entity with id and claims on a line by itself"
            yield BadRecord(
                number, "no entity", found, "name a JSON dump of Wikidata, or another source.format"
            )


def _statements(entity: dict[str, Any]) -> Iterator[Row]:
    claims = entity["claims"]
    for relation, several in claims.items() if claims else ():  # an empty object is dumped as an array
        for statement in several:
            snak = statement["mainsnak"]
            if statement.get("rank") == "deprecated" or snak["snaktype"] != "value":
                continue
            if snak["datavalue"]["type"] == "wikibase-entityid":
                value = snak["datavalue"]["value"]
                yield entity["id"], relation, value.get("id") or f"Q{value['numeric-id']}"
