"""The Hugging Face hub: if it cannot be reached, its libraries use their cache alone.

By default they retry five times, for 23 seconds.
"""

import logging
from functools import cache
from typing import Any

from nlptool.errors import DataError

SECONDS = 5.0  # timeout after which the hub counts as unreachable


def dataset(name: str, subset: str | None, split: str, *, streaming: bool = False) -> Any:
    """The rows of a split of a data set. Raises any exception of the libraries."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    if not answers():
        datasets.config.HF_HUB_OFFLINE = True
    return datasets.load_dataset(name, subset, split=split, streaming=streaming)


def unreadable(name: str, error: Exception, hint: str) -> DataError:
    """The DataError for a data set whose rows could not be read. error: what a library raised."""
    what = (str(error).strip() or type(error).__name__).splitlines()[0]
    return DataError(f"{name}: the data set could not be read: {what}", hint=hint)


@cache
def answers() -> bool:
    """Whether the hub can be reached, checked once; if not, this process stays offline."""
    from huggingface_hub import constants, get_session

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:  # of the HTTP library, which depends on the version
        constants.HF_HUB_OFFLINE = True
    return not constants.HF_HUB_OFFLINE
