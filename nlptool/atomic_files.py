"""Atomic writing and checked reading of nlptool's own files.

Files are written under another name and renamed, so that a full disk or a kill leaves the previous content; only
regular files are read, as UTF-8, and a fault is a DataError that names the file and a remedy.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from types import UnionType
from typing import IO, Any, TypeVar, get_args

from nlptool import notices
from nlptool.errors import DataError, UsageError
from nlptool.formatting import json_kind

MARK = ".nlptool-partial"
"""Suffix of files that are being written; no other files have it."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PLACE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST)
MOST_JSON = 2**30  # bytes; a larger file is not one of ours
Kind = TypeVar("Kind")


def aside_of(path: Path) -> Path:
    """The temporary path of a file or folder. A symbolic link is followed, never replaced."""
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}{MARK}")


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file that is renamed to `path` when the block succeeds, after it was synced to disk.

    mode: `w` for text, `wb` for bytes. Raises DataError where the disk refuses; `path` is then unchanged.
    """
    real, aside = Path(os.path.realpath(path)), aside_of(path)
    try:
        with aside.open(
            mode, encoding=None if "b" in mode else "utf8", newline=None if "b" in mode else ""
        ) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(real)
        sync(real.parent)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise refused(path, error) from error
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as `write_bytes`."""
    write_bytes(path, text.encode("utf8", "backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically, unless it has this content already. Raises DataError."""
    with suppress(OSError, DataError):
        if path.stat().st_size == len(data) and read_bytes(path) == data:
            return
    with replacing(path, "wb") as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON for people and programs, in UTF-8. Raises DataError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append one whole line, or nothing: a line truncated by a full disk is removed. Raises DataError."""
    before = 0
    try:
        if path.exists():
            open_regular(path).close()  # a pipe would block
        with path.open("ab") as file:
            before = file.tell()
            file.write(f"{line}\n".encode("utf8", "backslashreplace"))
            file.flush()
    except OSError as error:
        with suppress(OSError):
            os.truncate(path, before)
        raise refused(path, error) from error


def refused(path: Path, error: OSError) -> DataError | UsageError:
    """The error for a failed write to `path`, with a remedy."""
    why = f"{path}: could not be written: {error.strerror or error}"
    if error.errno in FULL:
        return DataError(why, hint="free some space; what was there before is kept")
    if error.errno in PLACE:
        return UsageError(why, hint="choose another folder with --out")
    return DataError(why, hint="make the folder writable, or choose another with --out")


def of_system(error: Exception) -> OSError:
    """The system's error behind a Rust library's message, which ends in "(os error 28)"."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else OSError(str(error))


def read_bytes(path: Path, remedy: str = "restore it, or remove it") -> bytes:
    """The content of a regular file; a pipe, a device or a folder is refused without blocking.

    Raises DataError with the path, the reason and `remedy`; FileNotFoundError passes, since it is often expected.
    """
    with open_regular(path, remedy) as file:
        if (size := os.fstat(file.fileno()).st_size) > MOST_JSON:
            raise DataError(f"{path}: has {size:,} bytes, too many for what it should be", hint=remedy)
        try:
            return file.read()
        except OSError as error:
            raise _unreadable(path, error, remedy) from error


def open_regular(path: Path, remedy: str = "restore it, or remove it") -> BufferedReader:
    """A regular file, opened to be read in bytes. Raises as `read_bytes`."""
    try:
        file = open_at_once(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise DataError(f"{path}: is a broken link", hint=remedy) from None
        raise
    except OSError as error:
        raise _unreadable(path, error, remedy) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise DataError(f"{path}: is not a regular file", hint=remedy)
    return file


def open_at_once(path: Path) -> BufferedReader:
    """Open a file for reading in bytes; a pipe without a writer is empty, and does not block."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if hasattr(os, "set_blocking"):
        os.set_blocking(descriptor, True)
    return open(descriptor, "rb")


def _unreadable(path: Path, error: OSError, remedy: str) -> DataError:
    return DataError(f"{path}: cannot be read: {error.strerror or error}", hint=remedy)


def read_text(path: Path, remedy: str = "restore it, or remove it") -> str:
    """The content of a text file in UTF-8, with or without a byte order mark. Raises as `read_bytes`."""
    data = read_bytes(path, remedy)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: byte {data[error.start]:#04x} is not UTF-8", hint=remedy) from None


def read_json(
    path: Path, kind: type[Kind], remedy: str = "restore it, or remove it", like: "Shape | None" = None
) -> Kind:
    """The value of a JSON file, which is a `kind` (dict, list). Raises as `read_bytes`.

    like: the required shape, see `Shape`.
    """
    text = read_text(path, remedy)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = "it is empty" if not text.strip("\0 \n\t\r") else str(error) or "it is nested too deeply"
        raise DataError(f"{path}: is not JSON: {why}", hint=remedy) from None
    if not isinstance(value, kind):
        raise DataError(f"{path}: holds {_a(type(value))}, not {_a(kind)}", hint=remedy)
    if like is not None and (fault := misfit(value, like)):
        raise DataError(f"{path}: {fault}", hint=remedy)
    return value


def read_or_recompute(path: Path, kind: type[Kind], like: "Shape | None" = None) -> Kind | None:
    """As `read_json` for files that can be computed again: None if missing, or damaged, with a note."""
    try:
        return read_json(path, kind, like=like)
    except FileNotFoundError:
        return None
    except DataError as error:
        notify_recomputed(error.message)
        return None


def notify_recomputed(why: str, what: str = "it is") -> None:
    """Notify the user that something damaged or outdated is computed again."""
    notices.notify(f"{why}; {what} made anew")


Shape = type | UnionType | dict[Any, "Shape"] | list["Shape"]
"""Required shape of a JSON value: int, float (any number), str, bool, float | None, or object (anything); [shape of
each entry]; {key: shape of its value}, where `key?` may be missing or null, and {str: shape} is an object with any
keys."""


def misfit(value: object, like: Shape, where: str = "") -> str | None:
    """Where a JSON value deviates from a shape: `splits.train is a string, not an object`; None if it does not."""
    if isinstance(like, UnionType):
        faults = [misfit(value, one, where) for one in get_args(like)]
        return None if None in faults else faults[0]
    wanted = type(like) if isinstance(like, dict | list) else like
    fits = isinstance(value, (int, float) if wanted is float else wanted)
    if not fits or (isinstance(value, bool) and wanted in (int, float)):
        return f"{where or 'it'} is {_a(type(value))}, not {_a(wanted)}"
    if isinstance(value, int) and wanted in (int, float) and abs(value) >= 2**63:
        return f"{where or 'it'} is a number of more than 63 bits"
    if isinstance(like, list) and isinstance(value, list):
        inner = [(str(number), one, like[0]) for number, one in enumerate(value)]
    elif isinstance(like, dict) and isinstance(value, dict):
        inner = [(key, one, like[str]) for key, one in value.items()] if str in like else []
        for name in like.keys() - {str}:
            key = name.removesuffix("?")
            if key not in value and key == name:
                return f"{where}.{key} is missing".removeprefix(".")
            if key == name or value.get(key) is not None:
                inner.append((key, value[key], like[name]))
    else:
        return None
    found = (misfit(one, shape, f"{where}.{key}".removeprefix(".")) for key, one, shape in inner)
    return next((fault for fault in found if fault), None)


def _a(kind: type) -> str:
    word = json_kind(kind)
    return word if word == "null" else f"an {word}" if word == "object" else f"a {word}"


def read_records(path: Path, remedy: str = "restore it, or remove it") -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; a last line truncated by a kill is skipped. Raises as `read_bytes`."""
    *whole, _ = read_text(path, remedy).split("\n")
    found = []
    for number, line in enumerate(whole, start=1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise DataError(f"{path}:{number}: is not a JSON object", hint=remedy)
        found.append(value)
    return found


def sync(path: Path) -> None:
    """Sync a file or folder to disk."""
    with suppress(PermissionError):  # Windows cannot open folders
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
