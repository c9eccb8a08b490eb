"""Folders that are written atomically, and verified by digests."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nlptool.atomic_files import MARK, aside_of, open_regular, read_json, refused, sync, write_json
from nlptool.errors import DataError

MANIFEST = "manifest.json"
AT_READ = 2**26
"""Files up to this size are compared by digest when read, in 0.1 s; larger ones only by `nlptool doctor`."""
UMASK = os.umask(0)
os.umask(UMASK)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary sibling that is renamed to `folder` when the block succeeds, and removed when it fails.

    Every file is synced to disk before the rename, with the permissions of the umask; only then is an existing
    `folder` replaced. A symbolic link is followed. Raises DataError when the disk refuses, UsageError where a folder
    is impossible.
    """
    real, aside = Path(os.path.realpath(folder)), aside_of(folder)
    try:
        _remove(aside)
        aside.mkdir(parents=True)
        yield aside
        for path in aside.rglob("*"):
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                continue  # a user's own files
            if path.suffix == ".safetensors":  # that library writes them with 0600
                path.chmod(0o666 & ~UMASK | path.stat().st_mode & 0o111)
            sync(path)
        sync(aside)
        old = aside_of(real.with_name(f"{real.name}.old"))
        _remove(old)
        if real.exists():
            real.rename(old)
        aside.rename(real)
        _remove(old)
        sync(real.parent)
    except OSError as error:
        _remove(aside)
        raise refused(folder, error) from error
    except BaseException:
        _remove(aside)
        raise


def _remove(aside: Path) -> None:
    """Remove an unfinished folder, of this or of a killed process."""
    shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in `folder`, identified by its suffix."""
    for path in folder.glob(f".*{MARK}"):
        _remove(path) if path.is_dir() else path.unlink(missing_ok=True)


def recorded(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of files, by name."""
    return {path.name: {"bytes": path.stat().st_size, "sha256": digest(path)} for path in sorted(paths)}


def write_manifest(folder: Path) -> None:
    """Record size and SHA-256 of every file in `folder`."""
    files = recorded(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    write_json(folder / MANIFEST, files)


def verify_manifest(folder: Path) -> str | None:
    """Why a folder with a manifest is damaged; None if every file is intact."""
    try:
        written = read_json(folder / MANIFEST, dict)
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except DataError as error:
        return error.message.removeprefix(f"{folder}{os.sep}")
    if not all(isinstance(one, dict) and one.keys() >= {"bytes", "sha256"} for one in written.values()):
        return f"{MANIFEST} cannot be read (it holds no sizes and digests)"
    return differs(folder, written)


def differs(folder: Path, written: Mapping[str, Any], *, content: bool = True) -> str | None:
    """Why files differ from their record; None if they do not.

    content: whether to compare digests, too, and not only sizes.
    """
    for name, expected in written.items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size:,} bytes, not {expected['bytes']:,}"
            if content and digest(path) != expected["sha256"]:
                return f"{name} is not what was written (its digest differs)"
        except FileNotFoundError:
            return f"{name} is missing"
        except DataError as error:
            return error.message.removeprefix(f"{folder}{os.sep}")
        except OSError as error:
            return f"{name} cannot be read ({os_error_text(error)})"
        except (ValueError, KeyError, TypeError):
            return f"what was recorded of {name} cannot be read"
    return None


def differs_at_a_glance(folder: Path, written: Mapping[str, Any]) -> str | None:
    """As `differs`, but with digests of files up to AT_READ bytes only, so that it takes no time."""
    sizes = [path.stat().st_size for name in written if (path := folder / name).is_file()]
    return differs(folder, written, content=sum(sizes) <= AT_READ)


def require_recorded(folder: Path, written: Mapping[str, Any], remedy: str) -> None:
    """Raise DataError where files differ from their record, without digests of large files."""
    if why := differs_at_a_glance(folder, written):
        raise DataError(f"{folder / why}", hint=remedy)


def safe_filename(name: str) -> str:
    """A name that is safe as a file name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"


def plain_names(names: Iterable[str]) -> list[str]:
    """Safe file names, distinct even on a file system that ignores case."""
    found: list[str] = []
    taken: set[str] = set()
    for name in map(safe_filename, names):
        unique, number = name, 1
        while unique.lower() in taken:
            number += 1
            unique = f"{name}--{number}"
        taken.add(unique.lower())
        found.append(unique)
    return found


def digest(path: Path) -> str:
    """SHA-256 of a regular file, hexadecimal. Raises as `read_bytes` of `nlptool.atomic_files`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def os_error_text(error: Exception) -> str:
    """The system's message, without numbers and paths."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
