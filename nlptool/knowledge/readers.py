"""Readers of triples, a few thousand at a time: TSV, ConceptNet's assertions, JSON lines, OpenKE's ids.

A file is read in pieces of whole lines. A piece whose lines all have three fields is split at once; another one is
read line by line, so that a fault is reported with its line.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import IO, NamedTuple

import numpy as np

from nlptool.formatting import counted
from nlptool.text.lines import encoding_hint, lines
from nlptool.text.records import BadRecord

SURROGATE = re.compile("[\ud800-\udfff]")
PIECE = 1 << 22  # bytes
TAB, NEWLINE = b"\t\n"
COLUMNS = ("head", "relation", "tail")
ROWS = 10_000  # triples passed on at once
HEADER = "name the columns in the first line: head, relation, tail"


class Columns(NamedTuple):
    """Columns of consecutive triples."""

    heads: list[str]
    relations: list[str]
    tails: list[str]


ROLES = (
    ("head", "subject", "source", "head_entity"),
    ("relation", "predicate", "rel", "property", "relation_type"),
    ("tail", "object", "target", "tail_entity"),
)
"""How a header calls head, relation and tail."""
Read = Iterator[Columns | BadRecord]
Row = tuple[str, str, str]


def header_order(fields: Sequence[str]) -> list[int]:
    """The places of head, relation and tail by the names of a header; empty if the fields are no header."""
    names = [field.strip().lower() for field in fields]
    found = [[names.index(name) for name in role if name in names][:1] for role in ROLES]
    return [place for places in found for place in places] if all(found) else []


def read_tsv(stream: IO[bytes], columns: tuple[str, ...] = COLUMNS) -> Read:
    """Three tab-separated fields a line; `columns` names them in the file's order, unless a header does.

    A header may name other columns, too.
    """
    order = [columns.index(name) for name in COLUMNS]
    line, rest = 1, stream.readline(PIECE)
    if named := header_order(rest.decode("utf-8-sig", "replace").split("\t")):
        if rest.count(b"\t") != 2:  # among other columns
            yield from rows_of_lines(stream, partial(_picked_of_line, named), first=2)
            return
        order, line, rest = named, 2, b""
    while piece := rest + stream.read(PIECE - len(rest)):
        rest = b""
        last = stream.readline(PIECE)
        piece += last
        if len(last) == PIECE and not last.endswith(b"\n"):
            found = f"a line of more than {PIECE:,} bytes"
            yield BadRecord(line + piece.count(b"\n"), "overlong line", found, "a line is one triple")
            line += piece.count(b"\n")
            continue
        fields = _split(piece.removeprefix(b"\xef\xbb\xbf") if line == 1 else piece)
        if fields is None:
            yield from _by_line(piece, line, order)
        else:
            yield Columns(*(fields[place::3] for place in order))
        line += piece.count(b"\n")


def _split(piece: bytes) -> list[str] | None:
    """The fields of a piece, end to end; None unless every line is UTF-8 with three fields, none of them empty."""
    rows = piece.count(b"\n") + (not piece.endswith(b"\n"))
    if b"\r" in piece or piece.count(b"\t") != 2 * rows:
        return None
    data = np.frombuffer(piece, np.uint8)
    marks = data[(data == TAB) | (data == NEWLINE)]
    if not piece.endswith(b"\n"):
        marks = np.append(marks, NEWLINE)
    if (marks.reshape(-1, 3) != (TAB, TAB, NEWLINE)).any():
        return None
    try:
        fields = piece.decode("utf8").removesuffix("\n").replace("\n", "\t").split("\t")
    except UnicodeDecodeError:
        return None
    return fields if all(fields) and not any(map(str.isspace, fields)) else None


def _by_line(piece: bytes, first: int, order: list[int]) -> Read:
    found: list[list[str]] = [[], [], []]
    for number, data in enumerate(piece.splitlines(), start=first):
        row = _fields(data, number)
        if isinstance(row, BadRecord):
            yield row
        elif row:
            for column, place in zip(found, order, strict=True):
                column.append(row[place])
    yield Columns(*found)


def _fields(data: bytes, line: int) -> list[str] | BadRecord | None:
    """The fields of a line; None for a blank one."""
    try:
        text = data.decode("utf-8-sig" if line == 1 else "utf8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{data[error.start]:02x} at place {error.start + 1:,} of the line is not UTF-8"
        return BadRecord(line, "invalid UTF-8", found, encoding_hint(data, first=line == 1))
    if not text.strip():
        return None
    fields = text.split("\t")
    if len(fields) != 3:
        found = f"{counted(len(fields), 'fields')}; three are expected, tabs between them"
        return BadRecord(line, "not three fields", found, "fix or remove the line")
    return _named(fields, line)


def _named(fields: list[str], line: int) -> list[str] | BadRecord:
    for name, field in zip(("first", "second", "third"), fields, strict=True):
        if not field or field.isspace():
            return BadRecord(line, "empty field", f"the {name} field is empty", "fix or remove the line")
        if "\n" in field or "\r" in field:
            found = f"the {name} field has a line end in it"
            return BadRecord(line, "line end in a name", found, "fix or remove the line")
        if not field.isascii() and SURROGATE.search(field):
            found = f"the {name} field has half a character in it (a lone surrogate)"
            return BadRecord(line, "half a character", found, "fix or remove the line")
    return fields


def picked(values: Sequence[str], order: Sequence[int], line: int) -> Row | BadRecord:
    """The triple of a row that has other columns, too; order: the places of head, relation and tail."""
    three = sorted(order) == [0, 1, 2]
    if len(values) <= max(order) or (len(values) != 3 and three):
        expected = (
            "three are expected" if three else f"{max(order) + 1} or more are expected, as the header says"
        )
        return BadRecord(
            line,
            "not three fields",
            f"{counted(len(values), 'fields')}; {expected}",
            HEADER if three else "fix or remove the line",
        )
    row = _named([values[place].strip() for place in order], line)
    return row if isinstance(row, BadRecord) else (row[0], row[1], row[2])


def read_conceptnet(stream: IO[bytes], language: str) -> Read:
    """ConceptNet's assertions, in five columns: `/r/IsA`, `/c/en/hot_dog/n`.

    Lines of other languages are skipped. The class of a word is dropped, words are joined by spaces: `hot dog`.
    """

    def row(text: str, line: int) -> Row | BadRecord | None:
        fields = text.rstrip("\r\n").split("\t")
        if len(fields) != 5 or not fields[1].startswith("/r/"):
            found = f"{counted(len(fields), 'fields')}; five are expected: assertion, relation, start, end, and JSON"
            return BadRecord(
                line, "no assertion", found, "name ConceptNet's assertions, or another source.format"
            )
        start, end = fields[2].split("/"), fields[3].split("/")
        if len(start) < 4 or len(end) < 4 or start[2] != language or end[2] != language:
            return None
        return start[3].replace("_", " "), fields[1].removeprefix("/r/"), end[3].replace("_", " ")

    return rows_of_lines(stream, row)


def read_jsonl(stream: IO[bytes], fields: tuple[str, str, str]) -> Read:
    """JSON objects, one a line; fields: the paths of head, relation and tail: `h.id`, `triple.0`."""

    def row(text: str, line: int) -> Row | BadRecord:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            found = f"broken JSON ({error}); one object a line is expected"
            array = "dumps of Wikidata are read with source.format=wikidata; else write an object a line: jq -c '.[]'"
            return BadRecord(
                line, "broken JSON", found, array if text.strip() == "[" else "fix or remove the line"
            )
        values = []
        for path in fields:
            value = value_at(record, path)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if not isinstance(value, str):
                found = f"no text at '{path}'"
                return BadRecord(
                    line, "no field", found, "name the fields: source.fields=[head, relation, tail]"
                )
            values.append(value)
        named = _named(values, line)
        return named if isinstance(named, BadRecord) else (named[0], named[1], named[2])

    return rows_of_lines(stream, row)


def value_at(record: object, path: str) -> object:
    """The value at a path of a JSON value, `a.b.0`: names lead into objects, numbers into lists; None if absent."""
    for name in path.split("."):
        if isinstance(record, dict):
            record = record.get(name)
        elif isinstance(record, list) and name.isdecimal() and int(name) < len(record):
            record = record[int(name)]
        else:
            return None
    return record


def _picked_of_line(order: Sequence[int], text: str, line: int) -> Row | BadRecord:
    return picked(text.rstrip("\r\n").split("\t"), order, line)


def rows_of_lines(
    stream: IO[bytes], row: Callable[[str, int], Row | BadRecord | None], first: int = 1
) -> Read:
    """Columns of lines, by a function of one line. first: the number of the first line."""

    def found() -> Iterator[Row | BadRecord]:
        for number, line in enumerate(lines(stream), start=first):
            if isinstance(line, BadRecord):
                yield line._replace(line=number)
            elif not line.isspace() and (one := row(line, number)) is not None:
                yield one

    return in_columns(found())


def in_columns(rows: Iterable[Row | BadRecord]) -> Read:
    """Triples by column, ROWS at a time; records that cannot be read as they are."""
    held: list[Row] = []
    for row in rows:
        if isinstance(row, BadRecord):
            yield row
            continue
        held.append(row)
        if len(held) == ROWS:
            yield Columns(*map(list, zip(*held, strict=True)))
            held = []
    if held:
        yield Columns(*map(list, zip(*held, strict=True)))


def read_openke_names(stream: IO[bytes]) -> tuple[list[str], BadRecord | None]:
    """OpenKE's entity2id.txt or relation2id.txt (the number of lines, then name and number) as names by number."""
    text = list(lines(stream))
    names: dict[int, str] = {}
    for number, line in enumerate(text, start=1):
        if isinstance(line, BadRecord):
            return [], line._replace(line=number)
        if number == 1:
            continue
        name, _, place = (
            line.rstrip("\r\n").rpartition("\t") if "\t" in line else line.rstrip().rpartition(" ")
        )
        if line.isspace():
            continue
        if not name.strip() or not place.strip().isdecimal() or int(place) in names:
            found = "a name and a number of its own are expected, a tab between them"
            return [], BadRecord(number, "no name", found, "fix the line")
        names[int(place)] = name
    stated = text[0].strip() if text and isinstance(text[0], str) else ""
    if not stated.isdecimal() or int(stated) != len(names):
        found = f"the first line says {stated or 'nothing'}, and {counted(len(names), 'names')} follow"
        return [], BadRecord(1, "false count", found, "put the number of names there")
    if sorted(names) != list(range(len(names))):
        found = f"numbers are not 0 to {len(names) - 1:,}, each once"
        return [], BadRecord(1, "false numbers", found, "number the names from 0")
    return [names[number] for number in range(len(names))], None


def read_openke(stream: IO[bytes], entities: list[str], relations: list[str]) -> Read:
    """OpenKE's train2id.txt: the number of triples, then head, tail and relation as numbers separated by spaces."""
    return in_columns(_openke_rows(stream, entities, relations))


def _openke_rows(stream: IO[bytes], entities: list[str], relations: list[str]) -> Iterator[Row | BadRecord]:
    stated = seen = 0
    for number, line in enumerate(lines(stream), start=1):
        if isinstance(line, BadRecord):
            yield line._replace(line=number)
            continue
        fields = line.split()
        if number == 1:
            if len(fields) != 1 or not fields[0].isdecimal():
                yield BadRecord(
                    1, "false count", "the number of triples is expected in the first line", COUNT
                )
                return
            stated = int(fields[0])
        elif fields:
            seen += 1
            if len(fields) != 3 or not all(field.isdecimal() for field in fields):
                yield BadRecord(
                    number, "not three numbers", "head, tail and relation are expected", "fix the line"
                )
                continue
            head, tail, relation = map(int, fields)
            if max(head, tail) >= len(entities) or relation >= len(relations):
                found = (
                    f"there are {len(entities):,} entities and {len(relations):,} relations, numbered from 0"
                )
                yield BadRecord(number, "number beyond the count", f"{line.strip()}: {found}", "fix the line")
                continue
            yield entities[head], relations[relation], entities[tail]
    if stated != seen:
        yield BadRecord(
            1, "false count", f"the first line says {stated:,}, and {counted(seen, 'triples')} follow", COUNT
        )


COUNT = "put the number of triples there"
