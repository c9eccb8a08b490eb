"""Linear layers packed in oneDNN's blocked layout, the fastest one for a few rows on a CPU: for inference only.

A decoder reads every weight once for each generated token, so memory bandwidth limits its speed. oneDNN reads
row-major weights at half the bandwidth or less, its own blocks at nearly all of it. benchmarks/generate.py measures
the speed-up.
"""

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.models.kernels import cpu
from nlptool.models.layers import Linear, activate

if TYPE_CHECKING:
    from nlptool.models.config import Activation

MANY = 500  # above this number of rows oneDNN compiles code for each number here, too
ROWS = (
    8  # row count given to oneDNN: it chooses the same blocks for any number above 1, and they also serve 1
)


@cache
def _has_blocks() -> bool:
    return cpu.has_onednn() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


class PackedLinear(nn.Module):
    """x W' + b without gradient."""

    def __init__(self, weight_OI: Tensor, bias_O: Tensor | None) -> None:
        super().__init__()
        self.outputs = len(weight_OI)
        self.blocks: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight_OI.detach(), ROWS)
        self.bias_O = None if bias_O is None else bias_O.detach()

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        rows = x.numel() // x.shape[-1]
        flops.product(rows, x.shape[-1], self.outputs)
        filler = -rows % cpu.step(rows) if rows > MANY else 0
        if not filler:
            return cpu.onednn(x, self.blocks, self.bias_O)
        x_ND = F.pad(x.reshape(rows, -1), (0, 0, 0, filler))
        return cpu.onednn(x_ND, self.blocks, self.bias_O)[:rows].view(*x.shape[:-1], -1)

    def activated(self, x: Tensor, activation: "Activation") -> Tensor:
        """`activate` of what `forward` gives."""
        return activate(self(x), activation)


def packable(weight_OI: Tensor) -> bool:
    """Whether this matrix can be packed here: float32 on a CPU, and a torch with oneDNN."""
    return cpu.usable(weight_OI) and _has_blocks()


def pack(module: nn.Module) -> None:
    """Replace every Linear by a PackedLinear and free its weights; the model can then only be used for inference."""
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, Linear) and packable(child.weight):
                setattr(parent, name, PackedLinear(child.weight, child.bias))
