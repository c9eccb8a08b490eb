"""Files in CoNLL's column format: a word and its tags on each line, and an empty line after each sentence.

As in CoNLL-2003 (Tjong Kim Sang & De Meulder 2003): the word comes first, the tag last. Columns are separated by
tabs if a line has one, else by white space. -DOCSTART- lines, which begin a document, are skipped. So are a first
column that numbers the words of each sentence, and comments before a sentence with tabs: lines that begin with #, ;
or $, as in KLUE-NER, CoNLL-U and the corpus of the Korea Maritime University.
"""

from collections.abc import Iterator
from itertools import chain
from typing import IO

from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.text.lines import lines
from nlptool.text.records import BadRecord

SUFFIXES = (".conll", ".bio", ".iob", ".iob2", ".txt")
SPLITS = (".train", ".dev", ".valid", ".test", ".testa", ".testb")
"""What names of files end with that are called by their split alone: eng.train, eng.testa."""
DOCUMENT = "-DOCSTART-"
COMMENTS = "#;$"
UNDECIDED = 1000  # sentences of one word, which do not tell whether a first column is numbers
_Rows = list[tuple[int, list[str]]]
"""The lines of a sentence, with their numbers in the file."""
HINT = "a sentence is lines of a word and its tag, with an empty line behind the last one"


def sentences(name: str, stream: IO[bytes]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """The place of each sentence, and its columns: tokens first, ner_tags last, column_2 and so on between.

    If there are four columns, those between are pos_tags and chunk_tags, as in CoNLL-2003; one column is tokens alone.
    Raises DataError, with file and line, for content that is not text, and for lines of different widths.
    """
    sentence: list[tuple[int, str]] = []
    width, numbered, early = 0, None, list[_Rows]()
    for at, line in enumerate(chain(lines(stream), ["\n"]), start=1):
        if isinstance(line, BadRecord):
            raise DataError(f"{name}:{at}: {line.detail}", hint=line.hint)
        is_document = line.split(None, 1)[:1] == [DOCUMENT]
        if line.strip() and not is_document:
            sentence.append((at, line))
            continue
        rows = [(number, _split(text)) for number, text in _without_comments(sentence)]
        sentence = []
        if not rows:
            continue
        width = width or len(rows[0][1])
        for number, row in rows:
            if len(row) != width:
                found = f"{counted(len(row), 'columns')}, but the lines above have {width}"
                raise DataError(f"{name}:{number}: {found}", hint=HINT)
        if numbered is None:
            early.append(rows)
            if len(rows) == 1 and width > 2 and len(early) < UNDECIDED:
                continue
            numbered = width > 2 and _is_numbered(rows)
            waiting, early = early, []
        else:
            waiting = [rows]
        yield from (_sentence(name, one, skip=int(numbered)) for one in waiting)
    yield from (_sentence(name, one, skip=0) for one in early)


def _split(line: str) -> list[str]:
    return line.rstrip("\r\n").split("\t") if "\t" in line else line.split()


def _without_comments(sentence: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The lines of a sentence behind its comments, which only a sentence whose last line has tabs can have."""
    begin = 0
    if sentence and "\t" in sentence[-1][1]:
        begin = next((at for at, (_, line) in enumerate(sentence) if not _is_comment(line)), len(sentence))
    return sentence[begin:]


def _is_comment(line: str) -> bool:
    first, tab, _ = line.rstrip("\r\n").partition("\t")
    first = first.strip()
    return first != "" and first[0] in COMMENTS and (not tab or " " in first)


def _is_numbered(rows: _Rows) -> bool:
    """Whether the first column numbers the words of a sentence from 1, or from 0."""
    first = [row[0] for _, row in rows]
    return any(first == [str(place + base) for place in range(len(first))] for base in (1, 0))


def _sentence(name: str, rows: _Rows, skip: int) -> tuple[str, dict[str, list[str]]]:
    columns = [list(column) for column in zip(*(row[skip:] for _, row in rows), strict=True)]
    return f"{name}:{rows[0][0]}", dict(zip(_names(len(columns)), columns, strict=True))


def _names(width: int) -> list[str]:
    between = [f"column_{number}" for number in range(2, width)]
    return ["tokens", *(["pos_tags", "chunk_tags"] if width == 4 else between), "ner_tags"][:width]
