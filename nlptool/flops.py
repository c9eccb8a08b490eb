"""How much arithmetic a forward pass is, counted as it is carried out.

One formula everywhere (dry runs, utilisation, budgets in FLOPs, comparisons): a product of [N, I] and [I, O] is
2 N I O operations, attention two such products for each head, and a training step three forward passes, since the
backward pass has two products for each one (Kaplan et al. 2020, section 2.1); a teacher's part, which no backward pass
follows, counts once. Only what is computed counts: the head and the last layer at the masked positions, not elsewhere;
but padding, too, which encoders on a CPU leave out: a batch that is counted says `compute_padding`, so that a budget is
as many steps on any machine. Causal attention counts whole rows of scores, as is the custom, though kernels leave out
what comes later. Embedding lookups, norms, activations and the recomputation of activation checkpointing count nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STEP = 3  # forward passes that a step is worth


@dataclass
class Count:
    """Operations so far."""

    operations: int = 0
    """FLOPs of the forward pass."""
    once: int = 0
    """Those of them that no backward pass follows."""

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
    """What is computed here has no backward pass, in training neither."""
    _forward_only.append(None)
    try:
        yield
    finally:
        _forward_only.pop()


def product(rows: int, inputs: int, outputs: int) -> None:
    """Say that [rows, inputs] is multiplied with [inputs, outputs]."""
    for count in _open:
        count.operations += 2 * rows * inputs * outputs
        count.once += 2 * rows * inputs * outputs if _forward_only else 0
