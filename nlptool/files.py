"""Folders that appear whole or not at all, and can be verified later."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nlptool.errors import DataError

MANIFEST = "manifest.json"


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A temporary sibling that becomes `folder` when the block ends well, and disappears when it does not.

    Every file is on the disk before the name appears; an existing `folder` is replaced only then.
    Raises DataError when the disk refuses.
    """
    aside = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        for path in aside.rglob("*"):
            _sync(path)
        _sync(aside)
        if folder.exists():
            old = folder.with_name(f"{folder.name}.old.partial")
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
            aside.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            aside.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise DataError(
            f"{folder}: could not be written: {reason(error)}",
            hint="free some space, or choose another folder with --out",
        ) from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def write_manifest(folder: Path) -> None:
    """Record size and SHA-256 of every file in `folder`."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    manifest = {path.name: {"bytes": path.stat().st_size, "sha256": digest(path)} for path in files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf8")


def fault(folder: Path) -> str | None:
    """Why a folder with a manifest is not whole; None when every file is as it was written."""
    try:
        manifest: dict[str, dict[str, Any]] = json.loads((folder / MANIFEST).read_text("utf8"))
        for name, expected in manifest.items():
            size = (folder / name).stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size:,} bytes, not {expected['bytes']:,}"
            if digest(folder / name) != expected["sha256"]:
                return f"{name} is not what was written (its digest differs)"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST} cannot be read ({reason(error)})"
    return None


def plain(name: str) -> str:
    """A name as that of a file."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"


def plain_names(names: Iterable[str]) -> list[str]:
    """Each name as that of a file; no two alike, also where a disk does not tell small letters from capitals."""
    found: list[str] = []
    taken: set[str] = set()
    for name in map(plain, names):
        made, number = name, 1
        while made.lower() in taken:
            number += 1
            made = f"{name}--{number}"
        taken.add(made.lower())
        found.append(made)
    return found


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: Exception) -> str:
    """The system's words for what went wrong, without numbers and paths."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _sync(path: Path) -> None:
    with suppress(PermissionError):  # Windows does not open folders
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
