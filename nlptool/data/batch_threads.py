"""Computes independent batches concurrently on a CPU."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

MOST = 8
"""Batches computed at once, each of which holds the activations of a forward pass."""
_sharing = threading.Lock()
"""Held while torch's number of threads is changed, which all threads of a process share."""


def for_each_batch(work: Callable[[int], None], number: int, place: torch.device) -> None:
    """Call work(0) .. work(number - 1) without gradients; on a CPU from several threads that share torch's.

    Threads within one product wait for each other after each product, which takes long where the products are small
    or other programs keep a core busy; threads with a batch each do not wait. An error or a signal stops the loop
    once the batches in progress are done. `work` is called once for each number, in any order, and must not draw
    random numbers.
    """
    threads = torch.get_num_threads()
    workers = min(threads, number, MOST) if place.type == "cpu" else 1

    @torch.no_grad()
    def one(index: int) -> None:
        work(index)

    if workers < 2 or not _sharing.acquire(blocking=False):
        for index in range(number):
            one(index)
        return
    try:
        pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
        torch.set_num_threads(threads // workers)  # of each thread that begins from here on
        try:
            for _ in pool.map(one, range(number)):
                pass
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
    finally:
        _sharing.release()
