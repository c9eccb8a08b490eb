"""Filters pages by their URL: lists of domains, and words."""

from pathlib import Path
from urllib.parse import urlsplit

from nlptool.atomic_files import read_text
from nlptool.corpus.config import Urls
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.errors import DataError


class Block:
    """Drops pages of listed domains and pages whose URL contains a listed word."""

    name = "urls"

    def __init__(self, config: Urls) -> None:
        self._domains = {_bare(domain) for domain in config.block_domains}
        for name in config.block_lists:
            self._domains |= set(_listed(Path(name)))
        self._words = tuple(word.lower() for word in config.block_words)

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """Drop the document or return it unchanged."""
        url = document.facts.get("url")
        if url is None:
            return document
        host = host_of(url)
        while host:
            if host in self._domains:
                return Dropped("urls.block_domains", 1, 0)
            host = host.partition(".")[2]
        if any(word in url.lower() for word in self._words):
            return Dropped("urls.block_words", 1, 0)
        return document


def host_of(url: str) -> str:
    """The host of a URL in lower case, without port; empty where there is none."""
    try:
        return (urlsplit(url if "//" in url else f"//{url}").hostname or "").rstrip(".")
    except ValueError:  # an unclosed bracket
        return ""


def _bare(domain: str) -> str:
    return domain.strip().lower().removeprefix("*.").strip(".")


def _listed(path: Path) -> list[str]:
    try:
        lines = read_text(path, "name a file with one domain a line").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", hint="filters by domain need it: urls.block_lists") from None
    return [bare for line in lines if (bare := _bare(line.partition("#")[0]))]
