"""How the threads of torch wait for each other, which OpenMP is told before torch is imported."""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

LOAD = Path("/proc/loadavg")
WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
LOOKS, APART = 3, 0.001  # looks at what is running, seconds from one to the next


def share(environment: MutableMapping[str, str]) -> None:
    """Where other programs keep CPUs busy, have waiting threads sleep; otherwise they stay as they are.

    By default a thread of libgomp that waits for the others keeps its CPU busy for a while, maybe the very one that
    another needs: training was up to twenty times slower on two CPUs of which one was taken, and with this no slower
    than with one thread. On a quiet machine sleeping costs about a tenth.
    """
    if any(name in environment for name in WAIT_VARIABLES) or not LOAD.exists():
        return
    cpus = len(os.sched_getaffinity(0))
    threads = environment.get("OMP_NUM_THREADS", "")
    ours = int(threads) if threads.isdigit() else cpus
    if ours > 1 and _others() + ours > cpus:
        environment["OMP_WAIT_POLICY"] = "passive"


def _others() -> int:
    """How many other threads were running at every look."""
    seen = []
    for look in range(LOOKS):
        time.sleep(APART if look else 0)
        running = LOAD.read_text().split()[3].partition("/")[0]
        seen.append(max(0, int(running) - 1))
    return min(seen)
