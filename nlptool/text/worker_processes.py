"""Common behaviour of worker processes: they end with their parent, and leave Ctrl-C to it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process


def follow_reader() -> None:
    """In a worker: end with the parent process, however it ends."""
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    reader = parent_process()
    if reader is not None:
        reader.join()
        os._exit(1)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Block SIGINT; processes started meanwhile never receive it, so that the parent alone stops them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
