"""JSON with an array of objects, or objects over several lines, read in bounded memory."""

import json
import re
from collections.abc import Iterable
from typing import Any

from nlptool.text.lines import RECORD
from nlptool.text.records import BadRecord, Read, at_field

BLOCK = 1 << 16  # characters held; doubled for a value that does not end in them
BETWEEN = re.compile(r"[\s,]*")
REST = "broken JSON, with all after it"  # the start of the next value is unknown


def read_values(texts: Iterable[str | BadRecord], field: str) -> Read:
    """All objects as texts, with the lines on which they begin. The first fault is the last record."""
    held, inside = _Held(texts), False
    while (character := held.next()) or inside:
        if character == ("]" if inside else "["):
            inside = not inside
            held.advance(held.at + 1)
            continue
        number = held.line
        value = held.value()
        if isinstance(value, BadRecord):
            yield value
            return
        yield at_field(value, field, number)
    if held.fault is not None:
        yield held.fault


class _Held:
    """The part of a text that is held in memory."""

    def __init__(self, texts: Iterable[str | BadRecord]) -> None:
        self._texts = iter(texts)
        self._text = ""
        self.at, self.line = 0, 1
        self.fault: BadRecord | None = None
        """What ended the text early."""

    def next(self) -> str:
        """The first character of the next value; empty at the end."""
        while True:
            between = BETWEEN.match(self._text, self.at)
            assert between is not None  # as it matches anything
            self.advance(between.end())
            if self.at < len(self._text):
                return self._text[self.at]
            if not self._grow():
                return ""

    def advance(self, end: int) -> None:
        """Move to `end`, counting lines."""
        self.line += self._text.count("\n", self.at, end)
        self.at = end

    def value(self) -> Any:
        """The next value, or the reason why there is none."""
        while True:
            try:
                found, end = json.JSONDecoder().raw_decode(self._text, self.at)
            except RecursionError as error:
                return BadRecord(self.line, REST, f"broken JSON ({error})", "fix the file")
            except json.JSONDecodeError as error:
                if len(self._text) - self.at < RECORD and self._grow():
                    continue
                place = self.line + self._text.count("\n", self.at, error.pos)
                return self.fault or BadRecord(place, REST, f"broken JSON ({error.msg})", "fix the file")
            self.advance(end)
            return found

    def _grow(self) -> bool:
        """Drop what was read and hold twice as much of the rest; returns whether there was more."""
        parts = [self._text[self.at :]]
        size = before = len(parts[0])
        for text in self._texts:
            if isinstance(text, BadRecord):
                number = self.line + sum(part.count("\n") for part in parts)
                self.fault = text._replace(line=number, reason=REST)
                self._texts = iter(())
                break
            parts.append(text)
            size += len(text)
            if size >= max(BLOCK, 2 * before):
                break
        self._text, self.at = "".join(parts), 0
        return size > before
