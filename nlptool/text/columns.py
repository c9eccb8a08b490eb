"""Files in CoNLL's column format: a word and its tags on each line, and an empty line after each sentence.

As in CoNLL-2003 (Tjong Kim Sang & De Meulder 2003): the word comes first, the tag last. Columns are separated by
tabs if a line has one, else by white space. -DOCSTART- lines, which begin a document, are skipped.
"""

from collections.abc import Iterator
from typing import IO

from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.text.lines import lines
from nlptool.text.records import BadRecord

SUFFIXES = (".conll", ".bio", ".iob", ".iob2", ".txt")
DOCUMENT = "-DOCSTART-"
HINT = "a sentence is lines of a word and its tag, with an empty line behind the last one"


def sentences(name: str, stream: IO[bytes]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """The place of each sentence, and its columns: tokens first, ner_tags last, column_2 and so on between.

    If there are four columns, those between are pos_tags and chunk_tags, as in CoNLL-2003; one column is tokens alone.
    Raises DataError, with file and line, for what is no text, and for lines of different widths.
    """
    rows: list[list[str]] = []
    number = width = 0
    for number, line in enumerate(lines(stream), start=1):
        if isinstance(line, BadRecord):
            raise DataError(f"{name}:{number}: {line.detail}", hint=line.hint)
        if line.strip():
            row = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
            width = width or len(row)
            if len(row) != width:
                found = f"{counted(len(row), 'columns')}, but the lines above have {width}"
                raise DataError(f"{name}:{number}: {found}", hint=HINT)
            rows.append(row)
        elif rows:
            yield from _sentence(name, number - len(rows), rows)
            rows = []
    if rows:
        yield from _sentence(name, number - len(rows) + 1, rows)


def _sentence(name: str, first: int, rows: list[list[str]]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    if rows[0][0] != DOCUMENT:
        columns = [list(column) for column in zip(*rows, strict=True)]
        yield f"{name}:{first}", dict(zip(_names(len(columns)), columns, strict=True))


def _names(width: int) -> list[str]:
    between = [f"column_{number}" for number in range(2, width)]
    return ["tokens", *(["pos_tags", "chunk_tags"] if width == 4 else between), "ner_tags"][:width]
