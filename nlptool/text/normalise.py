"""The text of a document as the tokenizer shall see it."""

from collections.abc import Callable

from nlptool.text.config import Normalise


def normaliser(config: Normalise) -> Callable[[str], str]:
    """A function from a document's text to its normalised text (may be empty). Safe to use in worker processes."""
    raise NotImplementedError
