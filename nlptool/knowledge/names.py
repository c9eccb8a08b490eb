"""Names by number and numbers by name, on disk: memory-mapped bytes, not Python objects, so opening takes no time.

FOLDER/entities.txt            names, one a line, sorted by their bytes: a name's number is its line, from 0
FOLDER/entities.offsets.npy    int64 [N + 1]: where each line begins
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from nlptool.errors import DataError

AGAIN = "build the graph again: nlptool knowledge RECIPE --overwrite"
PIECE = 1 << 16  # names encoded at once while a file is written


class Names(Sequence[str]):
    """Names of a file; `names[7]` is the text of line 7, `find` is its inverse.

    `find` bisects the sorted names: 20 steps for a million. Raises DataError where a file is damaged.
    """

    def __init__(self, path: Path, *, is_sorted: bool = True) -> None:
        self.path, self._sorted = path, is_sorted
        self._offsets = open_array(path.with_suffix(".offsets.npy"), "<i8", 1)
        size = path.stat().st_size if path.is_file() else -1
        if len(self._offsets) < 1 or self._offsets[-1] != size:
            raise DataError(f"{path}: does not go with {path.stem}.offsets.npy", hint=AGAIN)
        self._bytes = np.memmap(path, np.uint8, mode="r").data if size else memoryview(b"")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, number: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: SupportsIndex | slice) -> str | list[str]:
        """The name with this number; for a slice, a list."""
        if isinstance(number, slice):
            return [self._at(one) for one in range(*number.indices(len(self)))]
        place = int(number)
        if not -len(self) <= place < len(self):
            raise IndexError(f"{self.path.name} has {len(self):,} names, and none with number {place:,}")
        return self._at(place % len(self))

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), PIECE):
            last = min(first + PIECE, len(self))
            yield from str(self._bytes[self._offsets[first] : self._offsets[last] - 1], "utf8").split("\n")

    def find(self, name: str) -> int | None:
        """Number of a name; None where it is unknown."""
        if not self._sorted:
            return next((number for number, one in enumerate(self) if one == name), None)
        target, low, high = name.encode("utf8", "surrogatepass"), 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._raw(middle) < target:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self._raw(low) == target else None

    def numbers(self) -> dict[str, int]:
        """All names with their numbers, as a dict in memory: for many lookups."""
        return {name: number for number, name in enumerate(self)}

    def _at(self, number: int) -> str:
        return str(self._raw(number), "utf8")

    def _raw(self, number: int) -> bytes:
        return bytes(self._bytes[self._offsets[number] : self._offsets[number + 1] - 1])


def write_names(path: Path, names: Iterable[str]) -> None:
    """Write names, which contain no line end, and their offsets, into a folder that is renamed when complete."""
    sizes = [np.zeros(1, np.int64)]
    with path.open("wb") as file:
        piece: list[str] = []
        for name in names:
            piece.append(name)
            if len(piece) == PIECE:
                sizes.append(_append(file.write, piece))
                piece = []
        if piece:
            sizes.append(_append(file.write, piece))
    np.save(path.with_suffix(".offsets.npy"), np.cumsum(np.concatenate(sizes)).astype("<i8"))


class NamesWriter:
    """Writes names one by one, which contain no line end, into a folder that is renamed when complete."""

    def __init__(self, path: Path) -> None:
        self._path, self._ends = path, array("q", [0])
        self._file = path.open("wb")

    def add(self, name: str) -> None:
        """Write a name."""
        self._ends.append(self._ends[-1] + self._file.write(name.encode("utf8", "surrogatepass") + b"\n"))

    def close(self) -> None:
        """Write the offsets."""
        self._file.close()
        np.save(self._path.with_suffix(".offsets.npy"), np.array(self._ends, "<i8"))


def _append(write: Callable[[bytes], object], piece: list[str]) -> NDArray[np.int64]:
    """Write some names; returns the bytes of each with its line end."""
    data = "\n".join([*piece, ""]).encode("utf8")
    write(data)
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    return np.diff(ends, prepend=np.int64(-1))


def open_array(path: Path, dtype: str, dimensions: int) -> NDArray[Any]:
    """A NumPy file, memory-mapped and read-only; pickles are refused. Raises DataError where it is damaged."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = "is missing" if not path.exists() else f"cannot be read ({str(error).splitlines()[0]})"
        raise DataError(f"{path}: {why}", hint=AGAIN) from None
    if found.dtype != np.dtype(dtype) or found.ndim != dimensions:
        raise DataError(f"{path}: holds {found.dtype} of {found.ndim} dimensions, not {dtype}", hint=AGAIN)
    return np.asarray(found)  # slices of a plain array cost half those of a memmap, and it stays mapped
