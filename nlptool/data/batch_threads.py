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

    @torch.no_grad()
    def one(index: int) -> None:
        work(index)

    if place.type != "cpu" or number < 2 or not _sharing.acquire(blocking=False):
        for index in range(number):
            one(index)
        return
    try:
        threads = _of_a_new_thread()  # not before: another call lowers it until its end
        workers = min(threads, number, MOST)
        if workers < 2:
            for index in range(number):
                one(index)
            return
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


def _of_a_new_thread() -> int:
    """torch's threads of the process. A thread that began during another call has fewer, also afterwards."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()
