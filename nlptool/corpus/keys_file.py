"""Numbers of 64 bits on the disk: what tells duplicates and lines that repeat."""

from pathlib import Path

import numpy as np

from nlptool.errors import DataError
from nlptool.text.word_hashes import Hashes


def open_keys(path: Path) -> Hashes:
    """Keys that were written, mapped. Raises DataError where they are not as they were."""
    try:
        found: Hashes = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path}: is not as it was written: {error}",
            hint=f"remove {path.parent} and run again with --resume auto",
        ) from error
    return found
