"""One process at a time writes an output folder, or an output file.

OUT/.nlptool-lock, or .FILE.nlptool-lock, says which: host, process, and when it began. It goes when the process ends;
that of a process which has died is taken over, that of another host is refused with what to do, since nobody can ask
there.
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
    """Take `out`, which is made if need be, for this process until `release`; again is no fault.

    Raises UsageError where another process writes it, or where no folder can be.
    """
    _take(out, Path(os.path.realpath(out)) / NAME)


def hold_file(out: Path) -> None:
    """Take an output file, as `hold` takes a folder."""
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
    """Raise UsageError where another process writes `out`; nothing is taken."""
    path = Path(os.path.realpath(out)) / NAME
    if path not in _held and path.exists():
        _require_dead(out, path)


def release(out: Path | None = None) -> None:
    """Give up a folder, or all; one in which nothing was made goes, too."""
    for path in [*_held] if out is None else [Path(os.path.realpath(out)) / NAME]:
        with suppress(OSError):
            path.unlink()
            if path.name == NAME:
                path.parent.rmdir()
        _held.discard(path)


def _require_dead(out: Path, path: Path) -> None:
    """Raise UsageError unless the process that holds a folder is one of this host that has ended."""
    try:
        facts: dict[str, Any] = read_json(path, dict)
        age = max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return
    except DataError:  # cut by a full disk or a kill, or another process has made it this moment
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
    """When a process of this host began, so that another one with its number is distinguished; None: it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("utf8").rpartition(")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        try:  # no /proc here: all that can be asked is whether there is one
            os.kill(process, 0)
        except ProcessLookupError:
            return None
        except OSError:
            return 0
        return 0
    return None if fields[0] in "ZX" else int(fields[19])
