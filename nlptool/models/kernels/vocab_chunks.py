"""A product with a whole vocabulary, a chunk of rows at a time, so that the logits of all rows never exist at once."""

# N rows, C rows of one chunk, D width, V vocabulary

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.models.kernels import cpu

# Logits held at once. On a CPU 16 MB, about what stays in its last cache; on a GPU a gigabyte, so that products are
# large enough to keep it busy.
CHUNK, ON_GPU = 1 << 22, 1 << 28


def chunk_rows(weight_VD: Tensor) -> int:
    """Rows of a chunk."""
    return max(1, (ON_GPU if weight_VD.is_cuda else CHUNK) // weight_VD.shape[0])


@contextmanager
def without_autocast(x: Tensor) -> Iterator[torch.dtype]:
    """Turns autocast off, and says to what type it would have turned x."""
    device = "cpu" if x.is_meta else x.device.type  # autocast does not know the meta device
    low = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    with torch.autocast(device, enabled=False):
        yield low


def logits_of(x_CD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, wide: torch.dtype) -> Tensor:
    """x W' + b, [C, V], in the type `wide`; a tensor of its own."""
    logits_CV = _product(x_CD, weight_VD).to(wide)
    return logits_CV if bias_V is None else logits_CV.add_(bias_V)


def add_gradients(
    d_CV: Tensor,
    x_CD: Tensor,
    weight_VD: Tensor,
    dx_CD: Tensor,
    dweight_VD: Tensor,
    dbias_V: Tensor | None,
) -> None:
    """What a chunk adds to the gradients, given that of its logits; dx is written."""
    if dbias_V is not None:
        dbias_V += d_CV.sum(0)
    d_CV = d_CV.to(x_CD.dtype)
    dx_CD.copy_(_product(d_CV, weight_VD.t()))
    if dweight_VD.dtype == x_CD.dtype:
        dweight_VD.addmm_(d_CV.t(), x_CD)
    else:
        dweight_VD += d_CV.t() @ x_CD


def _product(x: Tensor, weight: Tensor) -> Tensor:
    return cpu.product(x, weight) if cpu.usable(x) else F.linear(x, weight)
