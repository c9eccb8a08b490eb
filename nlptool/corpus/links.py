"""Pages that others link to: WebText's signal of quality (Radford et al. 2019, section 2.1).

A list of links holds JSON lines, as Pushshift's dumps of Reddit's submissions do: url, score, created_utc, over_18,
is_self.
A URL has the score of its best link. URLs are compared without scheme, www, fragment and trailing slash.
"""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import xxhash

from nlptool.corpus.config import Links
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.corpus.urls import host_of
from nlptool.errors import DataError
from nlptool.text import readers, sources
from nlptool.text.config import Source
from nlptool.text.corpus import BROKEN
from nlptool.text.records import BadRecord
from nlptool.text.word_hashes import Hashes

OWN = frozenset(("reddit.com", "redd.it", "redditmedia.com", "i.redd.it", "v.redd.it"))
"""Hosts of the site itself; links to them are not outbound."""


class Block:
    """Drops pages that no link of the list leads to; documents without a URL pass."""

    name = "links"

    def __init__(self, listed: Hashes) -> None:
        self._listed = listed

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """Drop the document or return it unchanged."""
        url = document.facts.get("url")
        if url is None:
            return document
        key = np.uint64(address_key(url))
        at = int(np.searchsorted(self._listed, key))
        if at < len(self._listed) and self._listed[at] == key:
            return document
        return Dropped("links.files", 0, None)


def address_key(url: str) -> int:
    """A hash of the normalised URL."""
    return xxhash.xxh3_64_intdigest(bare(url).encode("utf8", "surrogatepass"))


def bare(url: str) -> str:
    """A URL without scheme, www, port, fragment and trailing slash; its host in lower case."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
    except ValueError:  # an unclosed bracket
        return url
    query = f"?{parts.query}" if parts.query else ""
    return f"{host_of(url).removeprefix('www.')}{parts.path.rstrip('/')}{query}"


def keys(config: Links) -> Hashes:
    """The sorted hashes of all URLs that the list leads to. Raises DataError."""
    found = np.fromiter((address_key(url) for url in addresses(config)), np.uint64)
    return np.unique(found)


def addresses(config: Links) -> Iterator[str]:
    """The URLs with a link that counts, in the order of the list, each once. Raises DataError."""
    met: set[int] = set()
    for record, place in _records(config):
        url, score = record.get("url"), record.get("score")
        if not isinstance(url, str) or isinstance(score, bool) or not isinstance(score, int | float):
            raise DataError(
                f"{place}: a link has url and score", hint="name JSON lines of links: links.files"
            )
        if not counts(record, url, float(score), config):
            continue
        key = address_key(url)
        if key not in met:
            met.add(key)
            yield url


def counts(record: dict[str, Any], url: str, score: float, config: Links) -> bool:
    """Whether a link is outbound and has a sufficient score."""
    host = host_of(url).removeprefix("www.")
    if record.get("is_self") is True or not host or host in OWN or host.endswith(".reddit.com"):
        return False
    if score < config.min_karma or (record.get("over_18") is True and not config.over_18):
        return False
    if config.until is None:
        return True
    created = _date(record.get("created_utc"))
    return created is not None and created.isoformat() <= config.until


def _date(given: Any) -> date | None:
    try:
        seconds = float(given)
        return datetime.fromtimestamp(seconds, UTC).date() if math.isfinite(seconds) else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _records(config: Links) -> Iterator[tuple[dict[str, Any], str]]:
    for file in sources.files(Source(files=config.files, format="jsonl")):
        try:
            with readers.opened(file) as (_, stream):
                for record in readers.read_jsonl(stream, "url"):
                    if isinstance(record, BadRecord):
                        raise DataError(f"{file.path}:{record.line}: {record.detail}", hint=record.hint)
                    yield dict(record.fields or {}), f"{file.path}:{record.line}"
        except BROKEN as error:
            raise DataError(
                f"{file.path}: breaks off or is damaged: {error}", hint="fetch the file anew"
            ) from error
