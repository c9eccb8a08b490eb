"""The process that extracts text: it receives pages, answers with their text, and may be killed at any moment."""

import logging
from multiprocessing.connection import Connection
from typing import Any

from nlptool.corpus import mediawiki
from nlptool.text.worker_processes import follow_reader

RESET_EVERY = 500  # pages after which trafilatura's caches, which grow, are emptied


def serve(connection: Connection, extractors: tuple[str, ...], options: dict[str, Any]) -> None:
    """Answer pages until there are none left. An answer is the text by each extractor, lazily: see `text_of`."""
    follow_reader()
    logging.disable(logging.CRITICAL)
    count = 0
    while True:
        try:
            html, least, wiki = connection.recv()
        except (EOFError, OSError):
            return
        if wiki:
            connection.send(mediawiki.text_of(html, tables=options["tables"]))
            continue
        connection.send(text_of(html, extractors, options, least))
        count += 1
        if count % RESET_EVERY == 0 and "trafilatura" in extractors:
            from trafilatura.meta import reset_caches

            reset_caches()


def text_of(html: str, extractors: tuple[str, ...], options: dict[str, Any], least: int) -> str:
    """The text of the first extractor that finds at least `enough` characters, else the longest."""
    best = ""
    for name in extractors:
        found = EXTRACTORS[name](html, options)
        if len(found) > len(best):
            best = found
        if len(found) >= least:
            return found
    return best


def _trafilatura(html: str, options: dict[str, Any]) -> str:
    import trafilatura

    return (
        trafilatura.extract(
            html,
            fast=options["fast"],
            include_comments=False,
            include_tables=options["tables"],
            favor_precision=options["favor_precision"],
        )
        or ""
    )


def _resiliparse(html: str, options: dict[str, Any]) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, main_content=True, alt_texts=False))


EXTRACTORS = {"trafilatura": _trafilatura, "resiliparse": _resiliparse}
