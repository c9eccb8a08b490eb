"""Normalisation of documents before tokenization."""

import re
import unicodedata
from collections.abc import Callable

from nlptool.text.config import Normalise

# A blank line ends a paragraph and stays; other line ends become spaces, so that sentences wrapped over
# several lines are whole again. Collapsing is idempotent.
PARAGRAPH = re.compile(r"\n[^\S\n]*\n")


def normaliser(config: Normalise) -> Callable[[str], str]:
    """A function from a document's text to its normalised text, which may be empty."""
    form = None if config.unicode == "none" else config.unicode
    collapse = config.whitespace == "collapse"

    def normalise(text: str) -> str:
        if form is not None and not unicodedata.is_normalized(form, text):
            text = unicodedata.normalize(form, text)
        return _collapse(text) if collapse else text

    return normalise


def _collapse(text: str) -> str:
    # str.split is an order of magnitude faster than replacing each run by a regular expression.
    paragraphs = (" ".join(paragraph.split()) for paragraph in PARAGRAPH.split(text))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
