"""Folders that appear whole or not at all, and can be verified later."""

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
"""Bytes whose digest is compared where they are read, in 0.1 s; of what is larger only by `nlptool doctor`."""
UMASK = os.umask(0)
os.umask(UMASK)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary sibling that becomes `folder` when the block ends well, and disappears when it does not.

    Every file is on the disk before the name appears, with the permissions that the umask gives; an existing `folder`
    is replaced only then. A symbolic link is followed.
    Raises DataError when the disk refuses, UsageError where no folder can be.
    """
    real, aside = Path(os.path.realpath(folder)), aside_of(folder)
    try:
        _remove(aside)
        aside.mkdir(parents=True)
        yield aside
        for path in aside.rglob("*"):
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                continue  # what a user has put there
            if path.suffix == ".safetensors":  # which are 0600 as that library writes them
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
    """Remove what was being written, or what a killed process has left of it."""
    shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes were writing into `folder`: only what bears the mark of it."""
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
    """Why a folder with a manifest is not whole; None when every file is as it was written."""
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
    """Why files are not as they were recorded; None where they are.

    content: whether digests are compared too, not sizes alone.
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
    """As `differs`, but digests of up to AT_READ bytes only, so that it takes no time."""
    sizes = [path.stat().st_size for name in written if (path := folder / name).is_file()]
    return differs(folder, written, content=sum(sizes) <= AT_READ)


def require_recorded(folder: Path, written: Mapping[str, Any], remedy: str) -> None:
    """Raise DataError where files are not as they were recorded, at a glance."""
    if why := differs_at_a_glance(folder, written):
        raise DataError(f"{folder / why}", hint=remedy)


def safe_filename(name: str) -> str:
    """A name as that of a file."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"


def plain_names(names: Iterable[str]) -> list[str]:
    """Each name as that of a file; no two alike, also where a disk does not tell small letters from capitals."""
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
    """The system's words for what went wrong, without numbers and paths."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
