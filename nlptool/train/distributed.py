"""One process or many: the few collectives that a step needs."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nlptool.errors import NlptoolError, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """Who we are among the processes that torchrun started; rank 0 of 1 without torchrun."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """True for the one process that logs and writes."""
        return self.rank == 0

    def sum(self, values: list[float]) -> list[float]:
        """Sum of each value over all ranks, in float64; exact for counts below 2^53."""
        if self.size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def sum_tensors(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sum of each tensor over all ranks, float64. A rank that lacks one brings nothing to it."""
        if self.size == 1:
            return tensors
        shapes: dict[str, torch.Size] = {}
        for some in self._gathered({name: tensor.shape for name, tensor in tensors.items()}):
            shapes |= some
        total = {}
        for name in sorted(shapes):
            lacking = torch.zeros(shapes[name], dtype=torch.float64, device=self.device)
            total[name] = tensors.get(name, lacking)
            dist.all_reduce(total[name])
        return total

    def all_of(self, names: Collection[str]) -> list[str]:
        """The names that any rank brings, sorted."""
        return sorted({name for some in self._gathered(list(names)) for name in some})

    def _gathered(self, value: T) -> list[T]:
        """What each rank brings."""
        found = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(found, value)
        return found

    def on_first(self, work: Callable[[], T]) -> T:
        """Do something on rank 0 only; every rank gets its result, or its NlptoolError."""
        if self.size == 1:
            return work()
        outcome: list[T | NlptoolError | None] = [None]
        if self.first:
            try:
                outcome[0] = work()
            except NlptoolError as error:
                outcome[0] = error
        dist.broadcast_object_list(outcome)
        (result,) = outcome
        if isinstance(result, NlptoolError):
            raise result
        return result  # type: ignore[return-value]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Average gradients over the ranks in the backward pass."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(module, gradient_as_bucket_view=True)


def join(environment: Mapping[str, str]) -> World:
    """Join the process group that torchrun announces in `environment`; alone if there is none.

    NCCL on GPUs, gloo on CPU. Raises UsageError when there are GPUs, but fewer than processes.
    """
    size = int(environment.get("WORLD_SIZE", "1"))
    local = int(environment.get("LOCAL_RANK", "0"))
    gpus = torch.cuda.device_count()
    if gpus and local >= gpus:
        raise UsageError(
            f"torchrun started more processes than this machine has GPUs ({gpus})",
            hint=f"use --nproc-per-node={gpus}",
        )
    device = torch.device("cuda", local) if gpus else torch.device("cpu")
    if gpus:
        torch.cuda.set_device(device)
    if size == 1:
        return World(0, 1, device)
    if not gpus:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(environment.get("LOCAL_WORLD_SIZE", "1"))))
    dist.init_process_group("nccl" if gpus else "gloo", timeout=timedelta(minutes=30))
    return World(dist.get_rank(), dist.get_world_size(), device)


def leave() -> None:
    """Leave the process group, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
