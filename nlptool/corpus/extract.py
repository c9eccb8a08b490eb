"""Text extraction from web pages, by trafilatura (Barbaresi 2021) or resiliparse (Bevendorff et al. 2018).

On scrapinghub's 181 articles trafilatura has F1 .96 and resiliparse .90 at ten times its speed. GPT-2 used Dragnet
and Newspaper; Dragnet can no longer be installed. A page that an extractor does not finish costs its process, which
is killed and replaced.
"""

import os
import time
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from nlptool.corpus.config import Extract
from nlptool.corpus.document import Document, Dropped, Figure, Figures
from nlptool.corpus.extractor import serve
from nlptool.corpus.html import attributes, nesting
from nlptool.extras import required
from nlptool.text.worker_processes import interrupts_held

WIKI = "mediawiki"
PATIENCE = 30  # times `seconds`, by the clock: the process may have to wait for a core
LOOKS = 0.25  # seconds between two checks of how long a page has taken


class Block:
    """Replaces a page by its text; documents of other sources pass."""

    name = "extract"

    def __init__(self, config: Extract, sources: Mapping[str, str]) -> None:
        self._config, self._sources = config, sources
        if WIKI in sources.values():
            required("mwparserfromhell", "extract", "corpus")
        for name in config.extractors if set(sources.values()) != {WIKI} else ():
            required(name, "extract", "corpus")
        self._process: _Process | None = None

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document with the page's text, or the reason why it is dropped."""
        if document.source not in self._sources:
            return document
        config, html = self._config, document.text
        wiki = self._sources[document.source] == WIKI
        limits = [("max_bytes", len(html.encode("utf8", "replace")), config.max_bytes)]
        if not wiki:
            limits += [
                ("max_nesting", nesting(html, config.max_nesting), config.max_nesting),
                ("max_attributes", attributes(html, config.max_attributes), config.max_attributes),
            ]
        figures = (Figure(f"extract.{key}", value, None, limit) for key, value, limit in limits)
        if dropped := seen.first_failure(figures):
            return dropped
        self._process = self._process or _Process(config)
        text = self._process.text_of(html, wiki=wiki)
        if isinstance(text, Dropped):
            self._process = None
            return text
        found = Figure("extract.min_chars", len(text), config.min_chars, None)
        return seen.first_failure(iter([found])) or document._replace(text=text)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process = None


class _Process:
    """A process that extracts text from pages."""

    def __init__(self, config: Extract) -> None:
        self._config = config
        context = get_context("spawn")
        self._connection: Connection
        self._connection, theirs = context.Pipe()
        options = {key: getattr(config, key) for key in ("fast", "tables", "favor_precision")}
        self._process: BaseProcess = context.Process(
            target=serve, args=(theirs, config.extractors, options), daemon=True
        )
        with interrupts_held():
            self._process.start()
        theirs.close()
        self._extract(("<p>ready</p>", 0, False), 60.0)  # importing does not count as a page's time

    def text_of(self, html: str, *, wiki: bool) -> str | Dropped:
        """The text of a page; Dropped where the process was killed or died."""
        page = (html.encode("utf8", "replace").decode(), self._config.min_chars, wiki)
        return self._extract(page, self._config.seconds)

    def _extract(self, page: tuple[str, int, bool], seconds: float) -> str | Dropped:
        began, spent = time.monotonic(), self._spent()
        try:
            self._connection.send(page)  # fails, too, where the process has died
            while not self._connection.poll(min(LOOKS, seconds)):
                by_clock = time.monotonic() - began
                used = by_clock if spent is None else (self._spent() or spent) - spent
                if used > seconds or by_clock > PATIENCE * seconds:
                    self.kill()
                    return Dropped("extract.seconds", used, seconds)
            return str(self._connection.recv())
        except (EOFError, OSError):
            self.kill()
            return Dropped("extract.crash", 1, None)

    def _spent(self) -> float | None:
        """Seconds of processor time that the process has used; None where the system does not report it."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text("utf8").rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()
