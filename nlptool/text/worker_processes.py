"""What processes that work for a reader share: they end with it, and leave Ctrl-C to it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process


def follow_reader() -> None:
    """In a worker: end with the reader, however it ends."""
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    reader = parent_process()
    if reader is not None:
        reader.join()
        os._exit(1)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Keep back Ctrl-C; a process started meanwhile never hears it, so that stopping is left to the reader."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
