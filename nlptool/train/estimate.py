"""What a run will need, found by taking one step on the meta device: shapes without data."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nlptool import flops
from nlptool.data.batches import Batch


@dataclass(frozen=True)
class Estimate:
    """Counts for one micro-batch on one rank; bytes for fp32 weights and two moments."""

    parameters: int
    flops_per_token: float
    """Of a training step per real token, as nlptool.flops counts them."""
    weights: int
    gradients: int
    optimizer: int
    activations: int
    """What the backward pass keeps."""

    @property
    def memory(self) -> int:
        """Bytes in all."""
        return self.weights + self.gradients + self.optimizer + self.activations


class _Uninitialised(TorchFunctionMode):
    """Leaves every tensor as it is made: on the meta device the first `normal_` would import the compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.startswith("_"):  # works in place, as all initialisation does
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def shapes_only() -> Iterator[None]:
    """Modules made here are on the meta device: shapes without data, at no cost."""
    with torch.device("meta"), _Uninitialised():
        yield


def estimate(build: Callable[[], nn.Module], batch: Batch, precision: str) -> Estimate:
    """Build the objective on the meta device and take one step with a batch of the run's shape.

    Tens of milliseconds at any model size, after a second or two in which the meta device imports sympy.
    """
    with shapes_only():
        module = build()
    module.train()
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter) and not tensor.is_leaf:
            kept[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes()
        return tensor

    meta = batch.to(torch.device("meta"))
    with (
        flops.counting() as count,
        torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t),
    ):
        sums = module(meta)
        torch.stack([value.float() for value in sums.values()]).sum().backward()  # type: ignore[no-untyped-call]
    parameters = sum(p.numel() for p in module.parameters())
    weights = 4 * parameters
    activations = sum(kept.values()) // (2 if precision == "bf16" else 1)
    return Estimate(
        parameters=parameters,
        flops_per_token=flops.STEP * count.operations / max(batch.tokens, 1),
        weights=weights,
        gradients=weights,
        optimizer=2 * weights,
        activations=activations,
    )
