"""Repairs texts: Unicode normalisation, mojibake, white space at line ends."""

import re
import unicodedata

from nlptool.corpus.config import Repair
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.extras import required

MOJIBAKE = re.compile("[ÃÂâìíëê][\u0080-\u00bf\u0152-\u2122]")
"""UTF-8's lead bytes read as Windows-1252, followed by continuation bytes read the same way."""


class Block:
    """Repairs a text; drops nothing."""

    name = "repair"

    def __init__(self, config: Repair) -> None:
        self._form = None if config.unicode == "none" else config.unicode
        self._strips = config.strip_lines
        self._ftfy = required("ftfy", "repair.mojibake", "corpus") if config.mojibake else None

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document with its text repaired."""
        text = document.text
        if self._ftfy is not None and MOJIBAKE.search(text):
            text = self._ftfy.fix_encoding(text)
        if self._form is not None and not unicodedata.is_normalized(self._form, text):
            text = unicodedata.normalize(self._form, text)
        if self._strips:
            text = stripped(text)
        return document if text is document.text else document._replace(text=text)


def stripped(text: str) -> str:
    """The text without white space at the end of its lines; the same object where there is none.

    A line of white space becomes a blank one; otherwise rules on repeated lines would count it.
    """
    lines = text.split("\n")
    if not any(line and line[-1].isspace() for line in lines):
        return text
    return "\n".join([line.rstrip() for line in lines])
