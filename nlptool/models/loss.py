"""Cross-entropy over a vocabulary, without ever holding the logits of all rows."""

# N rows, C rows of one chunk, D width, V vocabulary

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.models import cpu

IGNORED = -100  # label of a row that takes no part in the loss, as in torch and Hugging Face
CHUNK = 1 << 22  # logits held at once: 16 MB, about what stays in a CPU's last cache


def linear_cross_entropy(x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor) -> Tensor:
    """Sum over rows of -log softmax(x W' + b)[label], in nats; rows labelled -100 count nothing.

    x_ND: [..., D]; labels_N: [...]. The softmax is float32 (or float64 when x is).
    """
    x_ND, labels_N = x_ND.flatten(0, -2), labels_N.flatten()
    if not torch.is_grad_enabled():
        return linear_scores(x_ND, weight_VD, bias_V, labels_N)[0].sum()
    flops.product(x_ND.shape[0], x_ND.shape[1], weight_VD.shape[0])
    if torch.compiler.is_compiling():
        logits_NV = F.linear(x_ND, weight_VD, bias_V)
        wide = torch.promote_types(logits_NV.dtype, torch.float32)
        return F.cross_entropy(logits_NV.to(wide), labels_N, ignore_index=IGNORED, reduction="sum")
    device = "cpu" if x_ND.is_meta else x_ND.device.type  # autocast does not know the meta device
    low = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x_ND.dtype
    with torch.autocast(device, enabled=False):
        rows = max(1, CHUNK // weight_VD.shape[0])
        arguments = (x_ND.to(low), weight_VD.to(low), bias_V, labels_N, rows)
        return _LinearCrossEntropy.apply(*arguments)  # type: ignore[no-any-return, no-untyped-call]


@torch.no_grad()
def linear_scores(
    x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor
) -> tuple[Tensor, Tensor]:
    """The same row by row, and whether the label has the largest logit; both [...], without a gradient."""
    shape = labels_N.shape
    x_ND, labels_N = x_ND.flatten(0, -2), labels_N.flatten()
    flops.product(x_ND.shape[0], x_ND.shape[1], weight_VD.shape[0])
    product = cpu.product if cpu.usable(x_ND) else F.linear
    wide = torch.promote_types(x_ND.dtype, torch.float32)
    losses_N, correct_N = torch.empty_like(labels_N, dtype=wide), torch.empty_like(labels_N, dtype=torch.bool)
    rows = max(1, CHUNK // weight_VD.shape[0])
    chunks = (torch.split(t, rows) for t in (x_ND, labels_N, losses_N, correct_N))
    for x_CD, labels_C, losses_C, correct_C in zip(*chunks, strict=True):
        logits_CV = product(x_CD, weight_VD, bias_V).to(wide)
        losses_C.copy_(F.cross_entropy(logits_CV, labels_C, ignore_index=IGNORED, reduction="none"))
        correct_C.copy_(logits_CV.argmax(1) == labels_C)
    return losses_N.view(shape), correct_N.view(shape)


class _LinearCrossEntropy(Function):
    """The gradient is computed in the forward pass, chunk by chunk, since the logits are there only then."""

    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor, rows: int
    ) -> Tensor:
        wide = torch.promote_types(x_ND.dtype, torch.float32)
        total = x_ND.new_zeros((), dtype=wide)
        dx_ND = torch.empty_like(x_ND)
        dweight_VD = torch.zeros_like(weight_VD, dtype=wide)
        dbias_V = None if bias_V is None else torch.zeros_like(bias_V, dtype=wide)
        product = cpu.product if cpu.usable(x_ND) else F.linear
        for x_CD, dx_CD, labels_C in zip(
            *(torch.split(x, rows) for x in (x_ND, dx_ND, labels_N)), strict=True
        ):
            keep_C1 = (labels_C != IGNORED).to(wide)[:, None]
            label_C1 = labels_C.clamp(min=0)[:, None]
            p_CV = product(x_CD, weight_VD).to(wide)
            if bias_V is not None:
                p_CV += bias_V
            p_CV -= p_CV.amax(1, keepdim=True)
            chosen_C1 = p_CV.gather(1, label_C1)
            sum_C1 = p_CV.exp_().sum(1, keepdim=True)
            total += ((sum_C1.log() - chosen_C1) * keep_C1).sum()
            p_CV *= keep_C1 / sum_C1
            d_CV = p_CV.scatter_add_(
                1, label_C1, -keep_C1
            )  # the gradient: probabilities less one for the label
            if dbias_V is not None:
                dbias_V += d_CV.sum(0)
            d_CV = d_CV.to(x_CD.dtype)
            dx_CD.copy_(product(d_CV, weight_VD.t()))
            if wide == x_CD.dtype:
                dweight_VD.addmm_(d_CV.t(), x_CD)
            else:
                dweight_VD += d_CV.t() @ x_CD
        ctx.save_for_backward(dx_ND, dweight_VD.to(weight_VD.dtype), dbias_V)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        dx_ND, dweight_VD, dbias_V = ctx.saved_tensors
        return (
            *(None if x is None else (x * grad).to(x.dtype) for x in (dx_ND, dweight_VD, dbias_V)),
            None,
            None,
        )
