"""Comma- and tab-separated values, as in RFC 4180 or without quoting."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import IO

from nlptool.formatting import counted
from nlptool.text.lines import RECORD, lines
from nlptool.text.records import BadRecord, Read, Record, no_field

MARKS = "check the quotation marks; where they are characters like others, set source.quoting=none"


def read_csv(stream: IO[bytes], field: str, delimiter: str, *, quoted: bool = True) -> Read:
    """Values with a header. quoted: values in quotation marks may hold separators and line ends.

    An unclosed quotation mark invalidates its own line only; reading continues with the next line.
    """
    csv.field_size_limit(RECORD)
    header: list[str] | None = None
    for number, row in _rows(stream, delimiter, quoted):
        if isinstance(row, BadRecord):
            yield row._replace(line=number)
        elif header is None:
            header = row
            if field not in header:
                yield no_field(dict.fromkeys(header), field, number)
                return
        elif len(row) == len(header):
            yield Record(number, row[header.index(field)])
        elif row:
            found = f"{counted(len(row), 'values')}, but the header names {len(header)}"
            yield BadRecord(number, "broken CSV", found, MARKS if quoted else "check the separator")


class _Lines:
    """Lines that can be put back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._new = lines(stream)
        self._again: deque[str | BadRecord] = deque()
        self.number = 1
        """Number of the first line taken since the last row, from 1."""
        self.taken: list[str | BadRecord] = []
        self.fault: BadRecord | None = None
        """A line among them that is not text."""

    def __iter__(self) -> Iterator[str]:
        """Each line as it is taken; an empty one in place of invalid text."""
        while line := self._again.popleft() if self._again else next(self._new, ""):
            self.taken.append(line)
            if isinstance(line, str):
                yield line
            else:
                self.fault = self.fault or line
                yield ""

    def take_back(self) -> None:
        """Put back all lines but the first one taken."""
        self._again.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
        self.fault = None

    def accept(self) -> None:
        """Accept the lines taken."""
        self.number += len(self.taken)
        self.taken.clear()
        self.fault = None


def _rows(stream: IO[bytes], delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str] | BadRecord]]:
    """Rows with the number of their first line."""
    source, width = _Lines(stream), 0
    rows = _reader(source, delimiter, quoted)
    while True:
        row: list[str] | BadRecord
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            row = BadRecord(0, "broken CSV", f"broken CSV ({error})", MARKS)
        if isinstance(row, list) and width and len(row) != width and len(source.taken) > 1:
            row = BadRecord(0, "broken CSV", "a quotation mark that its value does not close", MARKS)
        if isinstance(row, BadRecord):
            source.take_back()
            rows = _reader(source, delimiter, quoted)
        else:
            width = width or len(row)
        yield source.number, source.fault or row
        source.accept()


def _reader(source: _Lines, delimiter: str, quoted: bool) -> Iterator[list[str]]:
    if quoted:
        return csv.reader(iter(source), delimiter=delimiter, strict=True)
    return csv.reader(iter(source), delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
