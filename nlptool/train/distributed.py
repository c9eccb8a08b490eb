"""Distributed training: the process group and the few collectives that a step needs."""

import os
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from nlptool.errors import NlptoolError, OtherRankFailed, Preempted, Reported, UsageError
from nlptool.formatting import counted
from nlptool.launch import Launch
from nlptool.malloc import keep_freed_memory

T = TypeVar("T")
STEP = timedelta(minutes=30)  # a rank this late in a step will not come
FOREVER = timedelta(days=365)  # rank 0 may encode rows for hours; its death is noticed at once
JOIN, LOOK = timedelta(minutes=10), timedelta(seconds=10)
REPORTED = "nlptool/reported"


@dataclass(frozen=True)
class DistributedContext:
    """This process among the ranks that a launcher started; rank 0 of 1 without one."""

    rank: int
    size: int
    device: torch.device
    control: dist.ProcessGroup | None = None
    """A second group of the ranks, on the CPU and without timeout, for work that rank 0 does alone."""

    @property
    def first(self) -> bool:
        """True for the one process that logs and writes."""
        return self.rank == 0

    def require_equal_parts(self, batch_size: int, micro_batches: int, rows: str = "sequences") -> None:
        """Refuse a batch whose rows cannot be divided equally among the micro-batches of all ranks."""
        if batch_size % (self.size * micro_batches):
            raise UsageError(
                f"train.batch_size: {counted(batch_size, rows)} cannot be shared out evenly to {self.size} ranks with "
                f"{micro_batches} micro-batches each",
                hint="choose a batch_size that ranks times gradient_accumulation divides",
            )

    def sum(self, values: list[float]) -> list[float]:
        """Sum of each value over all ranks, in float64; exact for whole numbers below 2^53, and for nothing else.

        So fractions are not summed: for common decisions use `from_rank0`.
        """
        if self.size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        with connected():
            dist.all_reduce(total)
        return total.tolist()

    def from_rank0(self, value: float) -> float:
        """Rank 0's value on every rank, bit for bit, e.g. its clock."""
        if self.size == 1:
            return value
        sent = torch.tensor(value, dtype=torch.float64, device=self.device)
        with connected():
            dist.broadcast(sent, 0)
        return float(sent)

    def sum_tensors(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sum of each tensor over all ranks, float64. A rank may lack a tensor."""
        if self.size == 1:
            return tensors
        shapes: dict[str, torch.Size] = {}
        for some in self._gathered({name: tensor.shape for name, tensor in tensors.items()}):
            shapes |= some
        total = {}
        for name in sorted(shapes):
            lacking = torch.zeros(shapes[name], dtype=torch.float64, device=self.device)
            total[name] = tensors.get(name, lacking)
            with connected():
                dist.all_reduce(total[name])
        return total

    def gather_union(self, names: Collection[str]) -> list[str]:
        """The union of the names of all ranks, sorted."""
        return sorted({name for some in self._gathered(list(names)) for name in some})

    def _gathered(self, value: T) -> list[T]:
        """The values of all ranks."""
        found = [value] * self.size
        if self.size > 1:
            with connected():
                dist.all_gather_object(found, value)
        return found

    def on_rank0(self, work: Callable[[], T]) -> T:
        """Run something on rank 0 only; every rank gets its result.

        The others wait without timeout. If it raises, rank 0 raises that, and the others OtherRankFailed, or
        Preempted if it was that.
        """
        if self.size == 1:
            return work()
        result: list[T | Preempted | OtherRankFailed | None] = [None]
        if not self.first:
            with connected():
                dist.broadcast_object_list(result, group=self.control, device=torch.device("cpu"))
            (received,) = result
            if isinstance(received, Preempted | OtherRankFailed):
                raise received
            return received  # type: ignore[return-value]
        try:
            result[0] = work()
        except BaseException as error:
            code = error.exit_code if isinstance(error, NlptoolError) else 1
            failed = OtherRankFailed("rank 0 failed", code)
            result[0] = error if isinstance(error, Preempted) else failed
            with suppress(OtherRankFailed), connected():
                dist.broadcast_object_list(result, group=self.control, device=torch.device("cpu"))
            raise
        with connected():
            dist.broadcast_object_list(result, group=self.control, device=torch.device("cpu"))
        return result[0]  # type: ignore[return-value]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Average gradients over the ranks in the backward pass."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(module, gradient_as_bucket_view=True)


@contextmanager
def connected() -> Iterator[None]:
    """Turns the errors that gloo and NCCL raise when another rank is gone into OtherRankFailed."""
    try:
        yield
    except RuntimeError as error:  # gloo raises nothing more specific
        words = str(error)
        if not isinstance(error, dist.DistError) and not any(
            w in words for w in ("gloo", "NCCL", "Connection")
        ):
            raise
        late = "Timed out" in words or "timeout" in words.lower()
        what = f"a rank is {STEP.seconds // 60} minutes late" if late else "another rank is gone"
        raise OtherRankFailed(what, hint="see its own message, or the kernel's log") from error


def join(this: Launch, waiting: Callable[[str], None] = lambda _: None) -> DistributedContext:
    """Join the ranks of the launcher, once; the group lasts as long as the process.

    NCCL on GPUs, gloo on CPUs. Freed memory is kept from now on, since computation follows. waiting: called with the
    ranks that have not joined yet. Raises UsageError when there are fewer GPUs than ranks, or when not all ranks
    join.
    """
    keep_freed_memory()
    gpus = torch.cuda.device_count()
    if gpus and this.local_rank >= gpus:
        raise UsageError(
            f"the launcher started more ranks than this machine has GPUs ({gpus})",
            hint=f"use --nproc-per-node={gpus}",
        )
    device = torch.device("cuda", this.local_rank) if gpus else torch.device("cpu")
    if this.size == 1:
        return DistributedContext(0, 1, device)
    if dist.is_initialized():
        return _world(device)
    if gpus:
        torch.cuda.set_device(device)
    elif this.threads is not None:
        torch.set_num_threads(this.threads)
    store = _meet(this, waiting)
    dist.init_process_group(
        "nccl" if gpus else "gloo",
        store=PrefixStore("group", store),
        rank=this.rank,
        world_size=this.size,
        timeout=STEP,
    )
    _joined.append(ProcessGroup(this, store, dist.new_group(backend="gloo", timeout=FOREVER)))
    return _world(device)


@dataclass(frozen=True)
class ProcessGroup:
    """The group that this process has joined."""

    launch: Launch
    store: Store
    control: dist.ProcessGroup


_joined: list[ProcessGroup] = []


def _world(device: torch.device) -> DistributedContext:
    (joined,) = _joined
    return DistributedContext(joined.launch.rank, joined.launch.size, device, joined.control)


def _meet(this: Launch, waiting: Callable[[str], None]) -> Store:
    """Wait until all ranks have registered in a store. Raises UsageError when one of them does not in time."""
    place = f"{this.address}:{this.port}"
    try:
        server = this.rank == 0 and not this.hosted
        tcp = TCPStore(this.address, this.port, this.size, server, JOIN, wait_for_workers=False)
    except (dist.DistError, ValueError, OSError) as error:
        raise UsageError(
            f"ranks cannot meet at {place} (MASTER_ADDR:MASTER_PORT): {str(error).splitlines()[0]}",
            hint="start all ranks with torchrun, and let them reach the first one's host",
        ) from error
    store = PrefixStore(f"nlptool/{this.attempt}", tcp)
    store.set(f"host/{this.rank}", f"{socket.gethostname()} {os.getpid()}")
    keys = [f"host/{rank}" for rank in range(this.size)]
    for _ in range(JOIN // LOOK):
        if _set(store, keys, LOOK):
            return store
        late = ", ".join(key[5:] for key in keys if not store.check([key]))
        waiting(f"{this} waits at {place} for rank {late}")
    raise UsageError(
        f"ranks that have not come to {place} within {JOIN.seconds // 60} minutes: {late}, of {this.size}",
        hint="start all ranks with torchrun",
    )


def _set(store: Store, keys: list[str], patience: timedelta) -> bool:
    """Whether keys are set within `patience`; Store.wait would print a C++ error if they are not."""
    end = time.monotonic() + patience.total_seconds()
    while not store.check(keys):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def is_joined() -> bool:
    """Whether this process is one of several joined ranks."""
    return bool(_joined)


def reports(error: Reported) -> bool:
    """Whether this rank shows an error: the first one of all that fail, unless it only lost the others."""
    if not _joined:
        return True
    this, store = _joined[0].launch, _joined[0].store
    if isinstance(error, Preempted):  # as all ranks are
        return this.rank == 0
    lost = isinstance(error, OtherRankFailed)
    try:
        # A rank with an error of its own goes first; most other errors are common to all ranks.
        _set(store, [REPORTED], timedelta(seconds=2 if lost else min(this.rank, 1)))
        first: bool = store.add(f"{REPORTED}/count", 1) == 1
        store.set(REPORTED, str(this.rank))
        return first
    except RuntimeError:  # the store went with its rank or its launcher
        return not lost or this.rank <= 1


def missing() -> str:
    """The dead ranks of this host, such as `rank 1 (process 4711)`; empty where none is known."""
    if not _joined:
        return ""
    this, store = _joined[0].launch, _joined[0].store
    dead = []
    with suppress(RuntimeError):
        for rank in range(this.size):
            host, pid = store.get(f"host/{rank}").decode().rsplit(" ", 1)
            if host == socket.gethostname() and not _alive(int(pid)):
                dead.append(f"rank {rank} (process {pid})")
    return ", ".join(dead)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except ProcessLookupError:
        return False
    except OSError:  # no /proc, or another user's
        return True


def leave() -> None:
    """Leave the process group, if there is one; no collective may follow."""
    if _joined:
        _joined.clear()
        with suppress(RuntimeError):
            dist.destroy_process_group()
