"""Shards of one corpus at work at the same time: each has a lock of its own, and the run that writes comes after all.

OUT/stretches/.shard-3-of-8/ holds the lock of a shard, as OUT does that of a whole run. A shard takes the lock of OUT
for the moment in which it begins.
"""

import time
from collections.abc import Callable
from pathlib import Path

from nlptool.corpus.config import Shard
from nlptool.errors import UsageError
from nlptool.runs import lock

STRETCHES = "stretches"
PATIENCE = 30.0  # seconds in which another shard has begun


def join(out: Path, shard: Shard, begin: Callable[[], None]) -> None:
    """Take a shard's part of the work. begin: makes the folder, or sees that it holds the same corpus.

    Raises UsageError where another process has this part, writes the corpus, or shares the work out otherwise.
    """
    own = f".shard-{shard.number + 1}-of-{shard.of}"
    _hold(out)
    try:
        begin()
        for path in _others(out):
            if path.name.rpartition("-of-")[2] != str(shard.of):
                lock.require_free(path)
        lock.hold(out / STRETCHES / own)
    finally:
        lock.release(out)


def require_ended(out: Path) -> None:
    """Raise UsageError where a shard is still at work."""
    for path in _others(out):
        lock.require_free(path)


def _others(out: Path) -> list[Path]:
    return sorted((out / STRETCHES).glob(".shard-*-of-*"))


def _hold(out: Path) -> None:
    """The lock of the folder, which another shard may have for the moment in which it begins."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            lock.hold(out)
            return
        except UsageError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
