"""Locks of output folders and files, so that one process at a time writes them.

OUT/.nlptool-lock, or .FILE.nlptool-lock, names the host, the process, and its start. It is removed when the process
ends; the lock of a dead process is taken over, that of another host is refused with a hint, since its process cannot
be checked.
"""

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from nlptool.atomic_files import FULL, read_json, refused
from nlptool.errors import DataError, UsageError
from nlptool.formatting import duration

NAME = ".nlptool-lock"
_held: set[Path] = set()


def hold(out: Path) -> None:
    """Lock `out`, which is created if necessary, for this process until `release`; may be called again.

    Raises UsageError where another process writes it, or the folder cannot be created.
    """
    _take(out, Path(os.path.realpath(out)) / NAME)


def hold_file(out: Path) -> None:
    """Lock an output file, as `hold` locks a folder."""
    real = Path(os.path.realpath(out))
    _take(out, real.with_name(f".{real.name}{NAME}"))


def _take(out: Path, path: Path) -> None:
    if path in _held:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {"host": socket.gethostname(), "process": os.getpid(), "began": _began(os.getpid())}
        for _ in range(3):
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                _require_dead(out, path)
                path.unlink(missing_ok=True)
                continue
            with open(descriptor, "w", encoding="utf8") as file:
                json.dump(facts, file)
            _held.add(path)
            return
    except OSError as error:
        fault = refused(out, error)
        raise (fault if error.errno in FULL else UsageError(fault.message, fault.hint)) from error
    raise UsageError(f"{out}: other processes begin to write it just now", hint="choose another --out")


def require_free(out: Path) -> None:
    """Raise UsageError where another process writes `out`, without locking it."""
    path = Path(os.path.realpath(out)) / NAME
    if path not in _held and path.exists():
        _require_dead(out, path)


def release(out: Path | None = None) -> None:
    """Release one lock, or all; an empty folder is removed."""
    for path in [*_held] if out is None else [Path(os.path.realpath(out)) / NAME]:
        with suppress(OSError):
            path.unlink()
            if path.name == NAME:
                path.parent.rmdir()
        _held.discard(path)


def _require_dead(out: Path, path: Path) -> None:
    """Raise UsageError unless the process that holds a lock was on this host and has ended."""
    try:
        facts: dict[str, Any] = read_json(path, dict)
        age = max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return
    except DataError:  # cut by a full disk or a kill, or another process is writing it at this moment
        time.sleep(0.2)
        with suppress(FileNotFoundError, DataError):
            read_json(path, dict)
            _require_dead(out, path)
        return
    host, process = facts.get("host"), facts.get("process")
    since = f"for {duration(age)}"
    if host != socket.gethostname():
        raise UsageError(
            f"{out}: process {process} of the host {host} writes it {since}",
            hint=f"wait for it, or choose another --out; if it has ended, remove {path}",
        )
    began = _began(process) if isinstance(process, int) else None
    if began is not None and began == facts.get("began"):
        raise UsageError(
            f"{out}: process {process} writes it {since}",
            hint="wait for it or stop it, or choose another --out",
        )


def _began(process: int) -> int | None:
    """Start time of a process of this host, to distinguish it from another one with its number; None: it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("utf8").rpartition(")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        try:  # without /proc, only the existence of a process can be checked
            os.kill(process, 0)
        except ProcessLookupError:
            return None
        except OSError:
            return 0
        return 0
    return None if fields[0] in "ZX" else int(fields[19])
