"""Shards of one corpus that work at the same time: each has its lock, and a final run writes the corpus.

OUT/stretches/.shard-3-of-8/ has the lock of a shard, like OUT that of a whole run. A shard holds the lock of OUT
only while it starts.
"""

import time
from collections.abc import Callable
from pathlib import Path

from nlptool.corpus.config import Shard
from nlptool.errors import UsageError
from nlptool.runs import lock

STRETCHES = "stretches"
PATIENCE = 30.0  # seconds to wait for another shard's start


def join(out: Path, shard: Shard, begin: Callable[[], None]) -> None:
    """Start a shard's part of the work. begin: creates the folder, or checks that it holds the same corpus.

    Raises UsageError where another process has this part, writes the corpus, or uses another number of shards.
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
    """Raise UsageError where a shard is still running."""
    for path in _others(out):
        lock.require_free(path)


def _others(out: Path) -> list[Path]:
    return sorted((out / STRETCHES).glob(".shard-*-of-*"))


def _hold(out: Path) -> None:
    """Take the lock of the folder, which another shard may hold while it starts."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            lock.hold(out)
            return
        except UsageError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
