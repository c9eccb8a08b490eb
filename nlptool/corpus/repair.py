"""Texts put right: Unicode's normal form, and UTF-8 that was read as another encoding."""

import re
import unicodedata

from nlptool.corpus.config import Repair
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.corpus.extra import required

MOJIBAKE = re.compile("[ÃÂâìíëê][\u0080-\u00bf\u0152-\u2122]")
"""How UTF-8's lead bytes look as Windows-1252, before what its other bytes look like."""


class Block:
    """Changes a text where something is wrong with it; drops nothing."""

    name = "repair"

    def __init__(self, config: Repair) -> None:
        self._form = None if config.unicode == "none" else config.unicode
        self._ftfy = required("ftfy", "repair.mojibake") if config.mojibake else None

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document with a text that is put right."""
        text = document.text
        if self._ftfy is not None and MOJIBAKE.search(text):
            text = self._ftfy.fix_encoding(text)
        if self._form is not None and not unicodedata.is_normalized(self._form, text):
            text = unicodedata.normalize(self._form, text)
        return document if text is document.text else document._replace(text=text)
