"""Memory and FLOPs of a run, estimated by one step on the meta device: shapes without data."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from nlptool import flops
from nlptool.data.batches import Batch
from nlptool.train.config import Stage

SHALLOW = (4, 8, 12)
"""Depths from which deeper models are extrapolated."""
M = TypeVar("M", bound=nn.Module)
N = TypeVar("N")


@dataclass(frozen=True)
class Estimate:
    """Counts for one micro-batch on one rank; bytes for fp32 weights and two moments."""

    rows: int
    """Sequences of the micro-batch."""
    parts: dict[str, int]
    """Parameters by part of the objective; shared ones count for the first part."""
    flops_per_row: float
    """FLOPs of a training step as nlptool.flops counts them; padding costs as much as a token."""
    weights: int
    """With the teacher's."""
    gradients: int
    optimizer: int
    activations: int
    """Peak activation memory: saved for the backward pass, and temporary."""
    logits: int
    """Peak memory of logits over a whole vocabulary."""

    @property
    def parameters(self) -> int:
        """Total number of parameters."""
        return sum(self.parts.values())

    @property
    def fixed(self) -> int:
        """Bytes that hardly depend on the micro-batch; the loss computes logits in chunks."""
        return self.weights + self.gradients + self.optimizer + self.logits

    @property
    def memory(self) -> int:
        """Total bytes, as if all kinds peaked at once."""
        return self.fixed + self.activations


class _Uninitialised(TorchFunctionMode):
    """Skips initialisation: on the meta device the first `normal_` would import the compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.startswith("_"):  # in place, as all initialisation
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def shapes_only() -> Iterator[None]:
    """Modules built here are on the meta device: shapes without data, at no cost."""
    with torch.device("meta"), _Uninitialised():
        yield


class _Storages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records allocations and releases of tensors created within it."""

    def __init__(self, *there: Tensor) -> None:
        """there: existing tensors; views of them, which operations return, are no allocations."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._living = {tensor.untyped_storage()._cdata: -1 for tensor in there}
        self._shapes: list[torch.Size] = []
        self._changes: list[
            tuple[int, int]
        ] = []  # number of the storage, bytes taken or (below 0) given back

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in self._living:
                self._take(tensor)
        return result

    def _take(self, tensor: Tensor) -> None:
        storage, number = tensor.untyped_storage(), len(self._shapes)
        self._living[storage._cdata] = number
        self._shapes.append(tensor.shape)
        self._changes.append((number, storage.nbytes()))
        weakref.finalize(storage, self._give_back, storage._cdata, number, storage.nbytes())

    def _give_back(self, address: int, number: int, size: int) -> None:
        del self._living[address]
        self._changes.append((number, -size))

    def numbers(self, tensors: Iterable[Tensor]) -> set[int]:
        """The storages of live tensors."""
        return {self._living[tensor.untyped_storage()._cdata] for tensor in tensors}

    def with_last(self, size: int) -> set[int]:
        """The storages of matrices whose rows have this length."""
        return {n for n, shape in enumerate(self._shapes) if len(shape) > 1 and shape[-1] == size}

    def most(self, counts: Callable[[int], bool]) -> int:
        """Peak bytes of the storages for which `counts` holds."""
        sizes = (size for number, size in self._changes if counts(number))
        return max(accumulate(sizes), default=0)


def no_teacher(module: nn.Module) -> None:
    """For objectives without a teacher: None."""


def estimate(
    build: Callable[[], M],
    batch: Batch,
    precision: str,
    vocab_size: int,
    teacher: Callable[[M], nn.Module | None] = no_teacher,
) -> Estimate:
    """Build the objective on the meta device and take one step with a batch of the run's shape.

    teacher: gets the teacher of an objective. Takes tens of milliseconds at any model size, after a second or two in
    which the meta device imports sympy.
    """
    with shapes_only():
        module = build()
    module.train()
    meta = batch.to(torch.device("meta"))
    parameter_bytes = 4 * sum(p.numel() for p in module.parameters())
    outside = teacher(module)
    read = () if outside is None else tuple(outside.parameters())
    storages = _Storages(*module.parameters(), *module.buffers(), *read, *meta.tensors.values())
    rows = len(next(iter(batch.tensors.values())))
    with storages:
        with flops.counting() as count:  # without the backward pass, which may recompute activations
            sums = module(meta)
        torch.stack([value.float() for value in sums.values()]).sum().backward()  # type: ignore[no-untyped-call]
    gradients = storages.numbers(p.grad for p in module.parameters() if p.grad is not None)
    logits = storages.with_last(vocab_size)
    activations = storages.most(lambda number: number not in gradients and number not in logits)
    return Estimate(
        rows=rows,
        parts=parts(module),
        flops_per_row=count.step / rows,
        weights=parameter_bytes + 4 * sum(p.numel() for p in read),
        gradients=parameter_bytes,
        optimizer=2 * parameter_bytes,
        activations=activations // (2 if precision == "bf16" else 1),
        logits=storages.most(lambda number: number in logits),
    )


def by_depth(of: Callable[[int], N], depth: int) -> N:
    """The estimate for a model of `depth` layers. of: takes a depth, and time proportional to it.

    If the estimates of three shallow models lie on a line, a deeper one is extrapolated.
    """
    low, middle, high = SHALLOW
    if depth > high:
        near, far = of(low), of(middle)
        if _on_line(near, far, high) == of(high):
            found: N = _on_line(near, far, depth)
            return found
    return of(depth)


def _on_line(near: Any, far: Any, depth: int) -> Any:
    """The value at a depth, on the line through the first two of SHALLOW."""
    low, middle, _ = SHALLOW
    if isinstance(near, Estimate):
        return Estimate(**_on_line(vars(near), vars(far), depth))
    if isinstance(near, dict):
        return {name: _on_line(value, far[name], depth) for name, value in near.items()}
    more = (far - near) * (depth - low)
    return near + (more // (middle - low) if isinstance(near, int) else more / (middle - low))


def parts(module: nn.Module) -> dict[str, int]:
    """Parameters by child of an objective, such as its heads, and by child of the model."""
    found: dict[str, int] = {}
    models = {
        name
        for name, child in module.named_children()
        if any(list(part.children()) for part in child.children())
    }
    for name, parameter in module.named_parameters():
        child, _, rest = name.partition(".")
        part = f"{child}.{rest.partition('.')[0]}" if child in models else child
        found[part] = found.get(part, 0) + parameter.numel()
    return found


@dataclass(frozen=True)
class MemoryFit:
    """Whether a run fits, by the estimate."""

    needed: int
    """Bytes of the largest stage, plus those taken."""
    fits: bool
    micro_batch: int | None
    """Most sequences of the longest stage that fit at once; None where none does."""
    accumulate: int | None
    """Smallest train.gradient_accumulation with which all micro-batches fit, if any does."""


def memory_fit(stages: Sequence[Stage], estimates: Sequence[Estimate], memory: int, taken: int) -> MemoryFit:
    """Compare the estimate of each stage with the free memory; activations grow with the rows."""
    room = [memory - taken - e.fixed for e in estimates]
    limits = [left * e.rows // max(e.activations, 1) for left, e in zip(room, estimates, strict=True)]
    batches = [stage.batch_size for stage in stages]
    longest = max(range(len(batches)), key=lambda index: stages[index].sequence_length)
    chosen = next(
        (
            n
            for n in range(1, max(batches) + 1)
            if all(b % n == 0 and b // n <= limit for b, limit in zip(batches, limits, strict=True))
        ),
        None,
    )
    needed = taken + max(estimate.memory for estimate in estimates)
    return MemoryFit(needed, needed <= memory, max(limits[longest], 0) or None, chosen)
