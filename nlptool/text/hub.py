"""The Hugging Face hub, asked once: where it does not answer, its libraries look into their cache alone.

By themselves they try five more times, for 23 seconds, before they say so.
"""

import logging
from functools import cache
from typing import Any

from nlptool.errors import DataError

SECONDS = 5.0  # until a hub that is silent counts as out of reach


def dataset(name: str, subset: str | None, split: str, *, streaming: bool = False) -> Any:
    """The rows of a split of a data set. Raises whatever the libraries raise, of some dozen kinds."""
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
    """Whether the hub can be reached, asked once; if not, this process does without it from now on."""
    from huggingface_hub import constants, get_session

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:  # of the HTTP library, which is another one in older versions
        constants.HF_HUB_OFFLINE = True
    return not constants.HF_HUB_OFFLINE
