"""Files of 64-bit keys of documents and lines."""

from pathlib import Path

import numpy as np

from nlptool.errors import DataError
from nlptool.text.word_hashes import Hashes


def open_keys(path: Path) -> Hashes:
    """Open a file of keys, memory-mapped. Raises DataError where it is damaged."""
    try:
        found: Hashes = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path}: has been changed or damaged: {error}",
            hint=f"remove {path.parent} and run again with --resume auto",
        ) from error
    return found
