"""Set the OpenMP wait policy before torch is imported."""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

LOAD = Path("/proc/loadavg")
WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
LOOKS, APART = 3, 0.001  # checks of the running threads, and seconds between them


def share(environment: MutableMapping[str, str]) -> None:
    """If other programs keep CPUs busy, let waiting threads sleep; otherwise change nothing.

    By default a waiting thread of libgomp keeps its CPU busy for a while, possibly one that another thread needs:
    training was up to twenty times slower on two CPUs of which one was busy, and with this no slower than with one
    thread. On a quiet machine sleeping costs about a tenth.
    """
    if any(name in environment for name in WAIT_VARIABLES) or not LOAD.exists():
        return
    cpus = len(os.sched_getaffinity(0))
    threads = environment.get("OMP_NUM_THREADS", "")
    ours = int(threads) if threads.isdigit() else cpus
    if ours > 1 and _others() + ours > cpus:
        environment["OMP_WAIT_POLICY"] = "passive"


def _others() -> int:
    """Number of other threads running at every check."""
    seen = []
    for look in range(LOOKS):
        time.sleep(APART if look else 0)
        running = LOAD.read_text().split()[3].partition("/")[0]
        seen.append(max(0, int(running) - 1))
    return min(seen)
