"""Texts put right: Unicode's normal form, UTF-8 that was read as another encoding, white space at line ends."""

import re
import unicodedata

from nlptool.corpus.config import Repair
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.extras import required

MOJIBAKE = re.compile("[ÃÂâìíëê][\u0080-\u00bf\u0152-\u2122]")
"""How UTF-8's lead bytes look as Windows-1252, before what its other bytes look like."""


class Block:
    """Changes a text where something is wrong with it; drops nothing."""

    name = "repair"

    def __init__(self, config: Repair) -> None:
        self._form = None if config.unicode == "none" else config.unicode
        self._strips = config.strip_lines
        self._ftfy = required("ftfy", "repair.mojibake", "corpus") if config.mojibake else None

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document with a text that is put right."""
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

    A line of white space alone is a blank one then; else rules on repeated lines take it for a line that repeats.
    """
    lines = text.split("\n")
    if not any(line and line[-1].isspace() for line in lines):
        return text
    return "\n".join([line.rstrip() for line in lines])
