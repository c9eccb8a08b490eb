"""Documents to sentences, losing nothing."""

from collections.abc import Callable

from nlptool.text.config import Sentences


def segmenter(config: Sentences) -> Callable[[str], list[str]]:
    """A function from a text to its sentences: `"".join(sentences) == text`, no sentence without a letter or sign.

    The white space before a sentence belongs to it. Build one in each worker process; it is not picklable.
    """
    raise NotImplementedError
