"""Files by lines: where lines end, and what of them is no text."""

import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import IO

from nlptool.text.records import BadRecord

RECORD = 1 << 26  # bytes of one line of JSON or CSV
LONE = re.compile(rb"\r(?!\n|\Z)")  # ends a line on Macs before 2001, and in some exports of spreadsheets

ENCODING = "convert the file with iconv, e.g. iconv -f WINDOWS-1252 -t UTF-8 (CP949 for Korean)"
UTF16 = "the file looks like UTF-16: convert it with iconv -f UTF-16 -t UTF-8"


def byte_lines(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Lines with their ends; longer ones in parts of `size` bytes.

    Where lines end in CR, as the first one tells, newlines take the place of these, so that offsets stay the same.
    """
    first = stream.readline(size)
    found = chain([first] if first else [], iter(partial(stream.readline, size), b""))
    return _at_returns(found, size) if LONE.search(first) else found


def _at_returns(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    rest = b""
    for piece in chain(pieces, [b""]):
        *whole, last = (rest + piece).splitlines(keepends=True) or [b""]
        if not piece or last.endswith(b"\n") or len(last) >= size:
            whole, last = [*whole, last], b""
        yield from (line[:-1] + b"\n" if line.endswith(b"\r") else line for line in whole if line)
        rest = last


def lines(stream: IO[bytes]) -> Iterator[str | BadRecord]:
    """Lines as text. The part of an overlong line that exceeds RECORD bytes counts as another line."""
    first = True
    for data in byte_lines(stream, RECORD):
        if len(data) >= RECORD and not data.endswith(b"\n"):
            found = f"a line of more than {RECORD:,} bytes"
            yield BadRecord(0, "overlong line", found, "split it: one record a line is expected")
            continue
        try:
            text = data.decode("utf-8")
            yield text.removeprefix("\ufeff") if first else text
        except UnicodeDecodeError as error:
            found = (
                f"the byte 0x{data[error.start]:02x} at place {error.start + 1:,} of the line is not UTF-8"
            )
            marked = first and data[:2] in (b"\xff\xfe", b"\xfe\xff")
            yield BadRecord(0, "invalid UTF-8", found, UTF16 if marked else ENCODING)
        first = False
