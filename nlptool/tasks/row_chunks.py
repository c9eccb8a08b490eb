"""Rows in chunks: encoded, predicted in batches of similar length, and returned in their order.

Memory holds a chunk at a time, whatever the number of rows.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nlptool.errors import DataError
from nlptool.tasks.base import LabelledDataset
from nlptool.text.row import Row
from nlptool.text.row_formats import Rows

CHUNK = 2048
"""Rows: enough for batches of similar length, 10 MB of texts."""


class EncodedChunk(NamedTuple):
    """Consecutive rows."""

    rows: list[tuple[int, Row]]
    """Valid rows, with their numbers among all rows, from 0."""
    dataset: LabelledDataset | None
    """The encoded rows; None if there are none."""
    faults: list[DataError]
    """Why the other rows are invalid."""
    end: int
    """The number of the row after the last one."""


Encode = Callable[[Sequence[Row], Path], LabelledDataset]


def chunks(rows: Rows, start: int) -> Iterator[tuple[int, list[Row | DataError]]]:
    """The number of each chunk's first row, and the chunk; rows before `start` are read and dropped."""
    number = start
    source = islice(rows, start, None)
    while some := list(islice(source, CHUNK)):
        yield number, some
        number += len(some)


@contextmanager
def encoded(
    first: int, some: Sequence[Row | DataError], encode: Encode, *, skip: bool
) -> Iterator[EncodedChunk]:
    """A chunk, whose files are removed when the block ends.

    first: the number of its first row. encode: as FinetunedModel.encode. skip: skip invalid rows; else they raise
    DataError.
    """
    good = [(number, row) for number, row in enumerate(some, start=first) if isinstance(row, Row)]
    faults = [row for row in some if isinstance(row, DataError)]
    if faults and not skip:
        raise faults[0]
    with tempfile.TemporaryDirectory(prefix="nlptool-rows-") as folder:
        dataset = None
        while good and dataset is None:
            try:
                dataset = encode([row for _, row in good], Path(folder) / "rows")
            except DataError as error:
                bad = next((at for at, (_, row) in enumerate(good) if _is_of(error, row)), None)
                if bad is None or not skip:
                    raise
                faults.append(error)
                del good[bad]
        yield EncodedChunk(good, dataset, faults, first + len(some))


def _is_of(error: DataError, row: Row) -> bool:
    """Whether an error concerns a row: its message begins with the row's place."""
    return error.message.startswith(f"{row.place}:")
