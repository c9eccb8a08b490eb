"""Readers of web pages: WARC and Common Crawl's WET (fastwarc), folders of HTML files, and wiki dumps.

Other records of an archive are counted by kind. Truncated records are counted, too, since other readers skip them
silently.
"""

import csv
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nlptool.corpus import mediawiki
from nlptool.corpus.config import CorpusSource
from nlptool.corpus.html import decoded
from nlptool.errors import DataError
from nlptool.extras import required
from nlptool.manifests import os_error_text
from nlptool.text.corpus import BROKEN, Document, ReadStats
from nlptool.text.readers import LONGEST, opened
from nlptool.text.sources import File

HTML = ("text/html", "application/xhtml+xml")
TOO_LONG = f"page of more than {LONGEST >> 20} MiB"
ENCODED = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def of_files(source: CorpusSource, files: Iterable[File], tally: ReadStats) -> Iterator[Document]:
    """The pages of these files, as HTML, or of WET as text; `fields` holds url and date.

    Raises DataError for an archive that is damaged, where `source.on_error` says to stop.
    """
    addresses = _addresses(source.page_urls) if source.page_urls else {}
    for file in files:
        start = tally.read
        try:
            match source.pages:
                case "html":
                    pages = _html(file, addresses, tally)
                case "mediawiki":
                    pages = mediawiki.articles(file, tally, start)
                case _:
                    pages = _archive(file, source, tally, start)
            for page in pages:
                if not page.text.strip():
                    tally.dropped["blank"] += 1
                    continue
                tally.documents += 1
                yield page
        except BROKEN as error:
            _broken(source, tally, f"{file.path}: the file breaks off or is damaged ({os_error_text(error)})")
        tally.read = start + file.size


def _broken(source: CorpusSource, tally: ReadStats, message: str) -> None:
    if source.on_error == "stop":
        raise DataError(
            message,
            hint="fetch the file anew; or on_error=drop of its source leaves out the rest and counts it",
        )
    tally.dropped["damaged file"] += 1


def _html(file: File, addresses: dict[str, str], tally: ReadStats) -> Iterator[Document]:
    with opened(file) as (_, stream):
        body = stream.read(LONGEST + 1)
    if len(body) > LONGEST:
        tally.dropped[TOO_LONG] += 1
        return
    url = addresses.get(file.path.name) or addresses.get(file.path.name.split(".")[0])
    yield Document(str(file.path), decoded(body).replace("\0", ""), {"url": url} if url else {})


def _addresses(path: str) -> dict[str, str]:
    """URLs of pages by file name, from a file of NAME<tab>URL."""
    try:
        with Path(path).open(encoding="utf8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeError) as error:
        raise DataError(
            f"{path}: cannot be read: {error}", hint="name a file of lines NAME<tab>URL"
        ) from error
    for number, row in enumerate(rows, start=1):
        if row and len(row) != 2:
            raise DataError(f"{path}:{number}: expected NAME<tab>URL", hint="fix the line")
    return {row[0]: row[1] for row in rows if row}


def _archive(file: File, source: CorpusSource, tally: ReadStats, start: int) -> Iterator[Document]:
    warc = required("fastwarc.warc", f"sources: pages={source.pages}", "corpus")
    wet = source.pages == "wet"
    kind = warc.WarcRecordType.conversion if wet else warc.WarcRecordType.response
    number = found = 0
    with file.path.open("rb") as raw:
        if (first := raw.read(9)).startswith(b"filedesc:") or _is_arc(file.path):
            raise OSError("an ARC archive; WARC is read, and warcio recompress makes one of the other")
        raw.seek(0)
        records = warc.ArchiveIterator(raw, parse_http=not wet)
        for record in records:
            number += 1
            tally.read = start + raw.tell()
            place = f"{file.path}:{number}"
            if not record.headers.get("Content-Length"):  # usually its last field
                _broken(source, tally, f"{place}: the record breaks off within its header")
                continue
            if record.record_type != kind:
                continue
            found += 1
            expected = record.content_length
            body = record.reader.read(LONGEST + 1)
            if len(body) > LONGEST:
                tally.dropped[TOO_LONG] += 1
            elif len(body) < expected:
                _broken(
                    source, tally, f"{place}: the record breaks off after {len(body):,} of {expected:,} bytes"
                )
            elif wet:
                yield Document(place, body.decode("utf8", "replace").replace("\0", ""), _facts(record))
            elif (page := _page(record, body, tally)) is not None:
                yield Document(place, page.replace("\0", ""), _facts(record))
    if not number and (first or file.size):
        raise OSError("no record of WARC in it")
    if not found:
        tally.dropped["file without a page"] += 1


def _is_arc(path: Path) -> bool:
    if path.suffix != ".gz":
        return False
    with path.open("rb") as file:
        return zlib.decompressobj(31).decompress(file.read(4096), 9).startswith(b"filedesc:")


def _facts(record: Any) -> dict[str, object]:
    facts = {"url": record.headers.get("WARC-Target-URI"), "date": record.headers.get("WARC-Date")}
    return {name: value for name, value in facts.items() if value}


def _page(record: Any, body: bytes, tally: ReadStats) -> str | None:
    """A page's HTML; None, and counted, if the response is not a page."""
    headers = record.http_headers
    if headers is None:
        tally.dropped["no HTTP header"] += 1
        return None
    if headers.status_code != 200:
        tally.dropped["HTTP status other than 200"] += 1
        return None
    if "chunked" in (headers.get("Transfer-Encoding") or "").lower():
        body = unchunked(body)
    how = (headers.get("Content-Encoding") or "").strip().lower()
    if how in ENCODED:
        body = inflated(body, ENCODED[how])
    elif how not in ("", "identity", "utf-8") and not body.lstrip().startswith(b"<"):
        tally.dropped["Content-Encoding other than gzip and deflate"] += 1
        return None
    kind, _, rest = (headers.get("Content-Type") or "").lower().partition(";")
    if kind.strip() not in HTML and not (not kind and body.lstrip()[:1] == b"<"):
        tally.dropped["not HTML"] += 1
        return None
    _, _, charset = rest.partition("charset=")
    return decoded(body, charset.split(";")[0].strip() or None)


def unchunked(body: bytes) -> bytes:
    """A body without chunk sizes; unchanged if it has none, since archives often keep only the header."""
    parts: list[bytes] = []
    at = 0
    while True:
        end = body.find(b"\r\n", at, at + 40)
        try:
            size = int(body[at:end].split(b";")[0], 16) if end > 0 else -1
        except ValueError:
            size = -1
        if size < 0 or end + 2 + size > len(body):
            return b"".join(parts) + body[at:] if parts else body
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
        if at >= len(body):
            return b"".join(parts)


def inflated(body: bytes, window: int) -> bytes:
    """A body decompressed, up to the longest page; unchanged if it is not compressed."""
    for bits in (window, -15):
        try:
            return zlib.decompressobj(bits).decompress(body, LONGEST)
        except zlib.error:
            continue
    return body
