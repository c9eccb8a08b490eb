"""Counts the FLOPs of a forward pass while it runs.

One formula everywhere (dry runs, utilisation, budgets in FLOPs, comparisons): a product of [N, I] and [I, O] is 2 N
I O operations, attention two such products for each head, and a training step three forward passes, since the
backward pass has two products for each one (Kaplan et al. 2020, section 2.1); a teacher, without a backward pass,
counts once. Only computed values count: the head and the last layer at the masked positions, not elsewhere. Padding
counts, too, though encoders on a CPU skip it: counted batches set `compute_padding`, so that a budget has the same
number of steps on any machine. Causal attention counts whole rows of scores, as usual, though kernels skip later
tokens. Embedding lookups, norms, activations and the recomputation of activation checkpointing do not count.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STEP = 3  # forward passes that a step costs


@dataclass
class Count:
    """Operations so far."""

    operations: int = 0
    """FLOPs of the forward pass."""
    once: int = 0
    """Those without a backward pass."""

    @property
    def step(self) -> int:
        """FLOPs of a training step with this forward pass."""
        return STEP * (self.operations - self.once) + self.once


_open: list[Count] = []
_forward_only: list[None] = []


@contextmanager
def counting() -> Iterator[Count]:
    """Count the products of this process until the end of the block."""
    count = Count()
    _open.append(count)
    try:
        yield count
    finally:
        _open.remove(count)


@contextmanager
def no_backward() -> Iterator[None]:
    """Within the block, products have no backward pass in training."""
    _forward_only.append(None)
    try:
        yield
    finally:
        _forward_only.pop()


def product(rows: int, inputs: int, outputs: int) -> None:
    """Count the product of [rows, inputs] and [inputs, outputs]."""
    for count in _open:
        count.operations += 2 * rows * inputs * outputs
        count.once += 2 * rows * inputs * outputs if _forward_only else 0
