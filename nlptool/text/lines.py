"""Lines of files: their ends, and hints for lines that are not text."""

import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import IO

from nlptool.text.records import BadRecord

RECORD = 1 << 26  # bytes of one line of JSON or CSV
LONE = re.compile(rb"\r(?!\n|\Z)")  # ends a line on Macs before 2001, and in some spreadsheet exports

ENCODING = "convert the file with iconv, e.g. iconv -f WINDOWS-1252 -t UTF-8 (GB18030 for Chinese)"
ALIKE = "the file looks like {name}: convert it with iconv -f {name} -t UTF-8"
MARKS = {
    b"\xff\xfe": ALIKE.format(name="UTF-16"),
    b"\xfe\xff": ALIKE.format(name="UTF-16"),
    b"PK\x03\x04": "the file is a spreadsheet or other ZIP archive: save what it holds as CSV (UTF-8) or plain text",
    b"\xd0\xcf\x11\xe0": "the file is an old spreadsheet or document: save it as CSV (UTF-8) or plain text",
    b"%PDF": "the file is a PDF: take the text out first, e.g. with pdftotext",
    b"PAR1": "the file is Parquet: name it NAME.parquet",
    b"\x1f\x8b": "the file is compressed with gzip: name it NAME.gz, or pipe it through gzip -dc",
    b"(\xb5/\xfd": "the file is compressed with zstd: name it NAME.zst, or pipe it through zstd -dc",
    b"\xfd7zXZ": "the file is compressed with xz: name it NAME.xz, or pipe it through xz -dc",
}
"""First bytes of files that are not UTF-8 text, and what to do."""
HANGUL = 0.8
"""Share of Hangul among non-ASCII characters from which on bytes are taken for Korean text."""


def encoding_hint(data: bytes, *, first: bool) -> str:
    """What to do about bytes that are not UTF-8. first: they begin a file."""
    if first and (known := next((hint for mark, hint in MARKS.items() if data.startswith(mark)), None)):
        return known
    text = data[: 1 << 16].decode(
        "euc_kr", "replace"
    )  # characters that CP949 has beyond it are rare, and occur in Japanese text, too
    foreign = [letter for letter in text if letter > "\x7f"]
    korean = sum("가" <= letter <= "힣" for letter in foreign)
    if korean > HANGUL * len(foreign):
        return ALIKE.format(name="CP949")
    return ENCODING


def byte_lines(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Lines with their ends; longer ones in parts of `size` bytes.

    If the first line ends in CR, all CRs are replaced by newlines, so that offsets stay the same.
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
    """Lines as text. The part of an overlong line beyond RECORD bytes counts as another line."""
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
            yield BadRecord(0, "invalid UTF-8", found, encoding_hint(data, first=first))
        first = False
