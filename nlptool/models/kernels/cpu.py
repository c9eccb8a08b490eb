"""The costly operations of a training step, faster on a CPU than torch's and equal up to rounding.

For float32 in eager mode; `layers` and `cross_entropy` use torch for everything else (GPU, autocast, compile,
float64). benchmarks/layers.py measures the speed-up of each.
"""

# B batch, T queries, S keys, H heads, E width of one head, I inputs, O outputs
# N rows of a product

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import Function, FunctionCtx, once_differentiable
from torch.nn import functional as F  # noqa: N812

CPU = torch.device("cpu")
QUERIES = 128  # queries of causal attention computed at once


def usable(x: Tensor) -> bool:
    """Whether x can be computed here."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


@cache
def has_onednn() -> bool:
    """Whether this torch can multiply by oneDNN."""
    return torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _capabilities() -> Mapping[str, Any]:
    return torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}


@cache
def prefers_onednn() -> bool:
    """Whether oneDNN multiplies faster than torch's BLAS: by 10 to 20 % on AMD's CPUs; on Intel's, MKL by 3 to 20 %."""
    return has_onednn() and not str(_capabilities().get("cpu_name")).startswith("Intel")


@cache
def _bf16_setting_is_exact() -> bool:
    """Whether torch's setting "bf16" enables oneDNN without changing float32 results, as on AMD's CPUs.

    oneDNN rounds float32 to bfloat16 there by AMX alone, which they do not have.
    """
    capabilities = _capabilities()
    amd = str(capabilities.get("cpu_name")).startswith("AMD") and not capabilities.get("amx_tile", True)
    return amd and has_onednn() and hasattr(torch.backends.mkldnn, "matmul")


@contextmanager
def onednn_products(wanted: bool = True) -> Iterator[None]:
    """Inside, mm, bmm and addmm multiply float32 by oneDNN, where that is exact: at twice MKL's rate on AMD's Zen 5.

    torch gives these products to oneDNN only where they may be rounded to bfloat16.
    """
    if not (wanted and _bf16_setting_is_exact()):
        yield
        return
    setting = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # set by an assignment that mypy does not see
    before, setting.fp32_precision = setting.fp32_precision, "bf16"
    try:
        yield
    finally:
        setting.fp32_precision = before


def _is_regular(queries: int, keys: int) -> bool:
    """Whether attention has one of few shapes: oneDNN keeps 0.3 MB of code for each product of each shape."""
    return queries % 16 == keys % 16 == 0


def faster_than_flash(q_BTHE: Tensor, k_BSHE: Tensor) -> bool:
    """Whether `attention` without dropout is faster than torch's flash kernel, forward and backward: 1.2 to 1.9 times.

    The probabilities that it stores may take no more memory than the MLP's activations, at four times the width.
    """
    queries, keys, width = q_BTHE.shape[1], k_BSHE.shape[1], q_BTHE.shape[3]
    wanted = torch.is_grad_enabled() and usable(q_BTHE) and _bf16_setting_is_exact()
    return wanted and 64 <= keys <= 4 * width and _is_regular(queries, keys)


def weight_gradient(grad_NO: Tensor, x_NI: Tensor) -> Tensor:
    """The gradient of a weight [O, I], given that of its outputs."""
    with onednn_products():
        return grad_NO.t() @ x_NI


def step(rows: int) -> int:
    """The number of rows is padded to a multiple of this.

    oneDNN compiles code for each number of rows and keeps 0.6 MB of it for good, which comes to gigabytes where
    batches have all lengths.
    """
    return 64 if rows > 1024 else 16


def onednn(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None, gelu: str | None = None) -> Tensor:
    """x W' + b without gradient. weight_OI may be in oneDNN's own blocked layout. gelu: "none" or "tanh", as for
    F.gelu."""
    kind, approximate = ("none", "") if gelu is None else ("gelu", gelu)
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight_OI, bias_O, kind, [], approximate)
    return result


def product(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None, gelu: str | None = None) -> Tensor:
    """x W' + b without gradient, by oneDNN or BLAS, whichever is faster. gelu: approximation of a GELU applied to the
    sum.

    For oneDNN the rows are padded with zeros to a number that it has code for, unless most of the work would be
    padding.
    """
    rows = x.numel() // x.shape[-1]
    filler = -rows % step(rows)
    if not prefers_onednn() or filler > rows:
        y = F.linear(x, weight_OI, bias_O)
        return y if gelu is None else F.gelu(y, approximate=gelu)
    if not filler:
        return onednn(x, weight_OI, bias_O, gelu)
    filled = F.pad(x.reshape(rows, -1), (0, 0, 0, filler))
    return onednn(filled, weight_OI, bias_O, gelu)[:rows].view(*x.shape[:-1], -1)


def linear(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    """x W' + b."""
    if not torch.is_grad_enabled():
        return product(x, weight_OI, bias_O)
    return _Linear.apply(x, weight_OI, bias_O)  # type: ignore[no-any-return, no-untyped-call]


def mlp(x: Tensor, up_FD: Tensor, up_F: Tensor, down_DF: Tensor, down_D: Tensor, tanh: bool) -> Tensor:
    """Linear, GELU, linear. Only one of the widest tensors is kept: GELU is computed again for the gradient."""
    approximate = "tanh" if tanh else "none"
    return _MLP.apply(x, up_FD, up_F, down_DF, down_D, approximate)  # type: ignore[no-any-return, no-untyped-call]


def fused_mlp(
    x: Tensor,
    up_FD: Tensor,
    up_F: Tensor,
    down_DF: Tensor,
    down_D: Tensor,
    added_MF: Tensor,
    place_M: Tensor,
    tanh: bool,
) -> tuple[Tensor, Tensor]:
    """As `mlp`, with `added_MF` added before GELU at `place_M` of the flattened tokens; also GELU's output there."""
    given = (x, up_FD, up_F, down_DF, down_D, "tanh" if tanh else "none", added_MF, place_M)
    return _MLP.apply(*given)  # type: ignore[no-any-return, no-untyped-call]


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zero each element with probability `rate`, to within 2^-17, and divide the others by the probability of keeping
    them.

    One draw of torch's default generator seeds the mask, so torch.manual_seed and activation checkpointing
    work as with F.dropout.
    """
    return _Dropout.apply(x, rate)  # type: ignore[no-any-return, no-untyped-call]


def attention(
    q_BTHE: Tensor, k_BSHE: Tensor, v_BSHE: Tensor, mask: Tensor | None, rate: float, causal: bool
) -> Tensor:
    """Scaled dot-product attention with dropout on the probabilities, [B, T, H, E].

    mask: bool, broadcast to [B, H, T, S], True where a query attends to a key. Probabilities are stored for the
    backward pass: torch's flash kernel, which stores none, supports no dropout. Causal attention without a mask runs
    in blocks of queries and skips the keys after each block.
    """
    if causal and mask is None:
        blocks = []
        for start in range(0, q_BTHE.shape[1], QUERIES):
            stop = min(start + QUERIES, q_BTHE.shape[1])
            later_TS = torch.full((stop - start, stop), -torch.inf).triu_(start + 1)
            inputs = (q_BTHE[:, start:stop], k_BSHE[:, :stop], v_BSHE[:, :stop])
            blocks.append(_Attention.apply(*inputs, later_TS[None, None], rate))  # type: ignore[no-untyped-call]
        return torch.cat(blocks, 1) if len(blocks) > 1 else blocks[0]
    bias = None
    if mask is not None:
        bias = torch.zeros(mask.shape).masked_fill_(~mask, -torch.inf)
    if causal:
        later_TS = torch.full((q_BTHE.shape[1], k_BSHE.shape[1]), -torch.inf).triu_(1)
        bias = later_TS[None, None] if bias is None else bias + later_TS
    return _Attention.apply(q_BTHE, k_BSHE, v_BSHE, bias, rate)  # type: ignore[no-any-return, no-untyped-call]


def keep_mask(shape: tuple[int, ...], rate: float) -> tuple[Tensor, float]:
    """An int8 mask, 1 to keep, and 1 / the exact probability of keeping.

    int8 and not bool: multiplying a float by it is four times faster. SFC64 gives 16 random bits per element
    in 0.5 ns; torch's own bernoulli takes 7 ns.
    """
    count = int(np.prod(shape))
    dropped = min(round(rate * 65536), 65535)
    seed = int(torch.empty((), dtype=torch.int64).random_())
    bits = np.random.SFC64(seed).random_raw((count + 3) // 4).view(np.uint16)[:count]
    return torch.from_numpy((bits >= dropped).view(np.int8)).view(shape), 65536 / (65536 - dropped)


class _Linear(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight_OI)
        return product(x, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_OI = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        grad_NO = grad.reshape(-1, grad.shape[-1])
        return (
            product(grad, weight_OI.t()) if for_x else None,
            weight_gradient(grad_NO, x.reshape(-1, x.shape[-1])) if for_weight else None,
            grad_NO.sum(0) if for_bias else None,
        )


class _MLP(Function):
    """added_MF: added before GELU at place_M; GELU's output there is then returned, too."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        up_FD: Tensor,
        up_F: Tensor,
        down_DF: Tensor,
        down_D: Tensor,
        approximate: str,
        added_MF: Tensor | None = None,
        place_M: Tensor | None = None,
    ) -> Any:
        h = product(x, up_FD, up_F)
        h_NF = h.view(-1, h.shape[-1])
        if place_M is not None and added_MF is not None:
            h_NF.index_add_(0, place_M, added_MF)
        ctx.save_for_backward(x, h, up_FD, down_DF, place_M)
        ctx.approximate = approximate
        ctx.set_materialize_grads(False)  # a last layer's GELU output gets no gradient
        inner = F.gelu(h, approximate=approximate)
        y = product(inner, down_DF, down_D)
        return y if place_M is None else (y, inner.view(h_NF.shape)[place_M])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_MF: Tensor | None = None) -> tuple[Tensor | None, ...]:
        x, h, up_FD, down_DF, place_M = ctx.saved_tensors
        x_ND, h_NF, dy_ND = (t.reshape(-1, t.shape[-1]) for t in (x, h, grad))
        ddown_DF = weight_gradient(dy_ND, F.gelu(h_NF, approximate=ctx.approximate))
        dh_NF = product(dy_ND, down_DF.t())
        if grad_MF is not None:
            dh_NF.index_add_(0, place_M, grad_MF)
        torch.ops.aten.gelu_backward.grad_input(dh_NF, h_NF, approximate=ctx.approximate, grad_input=dh_NF)
        dx = product(dh_NF, up_FD.t()).view(x.shape)
        added = None if place_M is None else dh_NF[place_M]
        return dx, weight_gradient(dh_NF, x_ND), dh_NF.sum(0), ddown_DF, dy_ND.sum(0), None, added, None


class _Dropout(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        mask, ctx.scale = keep_mask(tuple(x.shape), rate)
        ctx.save_for_backward(mask)
        return torch.mul(x, mask).mul_(ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (mask,) = ctx.saved_tensors
        return torch.mul(grad, mask).mul_(ctx.scale), None


class _Attention(Function):
    """One head at a time; its queries, keys and values are read in place, without copies."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, rate: float) -> Tensor:
        batch, queries, heads, width = q.shape
        shape = (heads, batch, queries, k.shape[1])
        p_HBTS, y_HBTE = torch.empty(shape), torch.empty(heads, batch, queries, width)
        keep, ctx.scale = keep_mask(shape, rate) if rate else (None, 1.0)
        with onednn_products(_is_regular(queries, k.shape[1])):
            for h in range(heads):
                p_BTS = torch.bmm(q[:, :, h], k[:, :, h].transpose(1, 2), out=p_HBTS[h]).mul_(width**-0.5)
                if bias is not None:
                    p_BTS += bias[:, h if bias.shape[1] > 1 else 0]
                torch.softmax(p_BTS, -1, out=p_BTS)
                torch.bmm(p_BTS if keep is None else p_BTS * keep[h], v[:, :, h], out=y_HBTE[h])
        ctx.save_for_backward(q, k, v, p_HBTS, keep)
        if keep is not None:
            y_HBTE *= ctx.scale
        return y_HBTE.permute(1, 2, 0, 3).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, p_HBTS, keep = ctx.saved_tensors
        dq, dk, dv = (x.new_empty(x.shape[2], x.shape[0], x.shape[1], x.shape[3]) for x in (q, k, v))
        with onednn_products(_is_regular(q.shape[1], k.shape[1])):
            for h, p_BTS in enumerate(p_HBTS):
                g_BTE = grad[:, :, h]
                dropped_BTS = p_BTS if keep is None else p_BTS * keep[h]
                torch.bmm(dropped_BTS.transpose(1, 2), g_BTE, out=dv[h])
                d_BTS = torch.bmm(g_BTE, v[:, :, h].transpose(1, 2))
                if keep is not None:
                    d_BTS *= keep[h]
                d_BTS = torch.ops.aten._softmax_backward_data(d_BTS, p_BTS, -1, torch.float32)
                torch.bmm(d_BTS, k[:, :, h], out=dq[h])
                torch.bmm(d_BTS.transpose(1, 2), q[:, :, h], out=dk[h])
        dq *= ctx.scale * q.shape[-1] ** -0.5
        dk *= ctx.scale * q.shape[-1] ** -0.5
        if keep is not None:
            dv *= ctx.scale
        return (*(x.permute(1, 2, 0, 3) for x in (dq, dk, dv)), None, None)
