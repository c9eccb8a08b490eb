"""Attention over concatenated rows on a CPU: a row's queries attend to its own keys, and nothing is padded."""

# B rows, T queries and S keys of one, N tokens of all rows, R rows of equal length that follow each other
# H heads, E width of one head, D hidden width

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.models.kernels import cpu


def attention_of_rows(
    q_NHE: Tensor, k_SHE: Tensor, v_SHE: Tensor, queries: Sequence[int], keys: Sequence[int], rate: float
) -> Tensor:
    """Scaled dot-product attention with dropout on the probabilities, [N, H, E], within each row.

    queries, keys: number of tokens of each row.
    """
    if not torch.is_grad_enabled():
        runs = _equal_runs(queries, keys)
        given = (_by_run(q_NHE, runs, 0), _by_run(k_SHE, runs, 1), _by_run(v_SHE, runs, 1))
        attended = (F.scaled_dot_product_attention(*qkv, dropout_p=rate) for qkv in zip(*given, strict=True))
        return torch.cat([y_RHTE.transpose(1, 2).flatten(0, 1) for y_RHTE in attended])
    return _RowAttention.apply(q_NHE, k_SHE, v_SHE, queries, keys, rate)  # type: ignore[no-any-return, no-untyped-call]


def attention_of_first(
    q_BHE: Tensor, x_ND: Tensor, weight_3DD: Tensor, bias_3D: Tensor, lengths: Sequence[int]
) -> Tensor:
    """Attention of one query a row, [B, H * E], without gradient and without computing keys and values of all tokens.

    q (K x + b) equals (q K) x up to a constant over tokens, and a mean of values is V times that mean of x. weight,
    bias: of queries, keys and values; queries are already projected. lengths: tokens of each row; x has the rows end
    to end.
    """
    rows, heads, size = q_BHE.shape
    width = x_ND.shape[-1]
    flops.product(2 * rows * heads, size, width)
    flops.product(2 * sum(lengths) * heads, width, 1)
    _, key_HED, value_HED = weight_3DD.view(3, heads, size, width)
    query_BHD = torch.bmm(q_BHE.transpose(0, 1), key_HED).transpose(0, 1).contiguous()
    means_BHD = _means_of_rows(query_BHD, x_ND, lengths, size**-0.5)
    y_HBE = torch.bmm(means_BHD.transpose(0, 1), value_HED.transpose(1, 2))
    return y_HBE.transpose(0, 1).flatten(1) + bias_3D[2 * width :]


def _means_of_rows(q_BHD: Tensor, x_ND: Tensor, lengths: Sequence[int], scale: float) -> Tensor:
    """softmax(scale q x') x of each query over the tokens of its row, [B, H, D], without gradient.

    lengths: tokens of each row; the rows are end to end.
    """
    runs, found, row, token = _equal_runs(lengths, lengths), [], 0, 0
    for tokens, _, rows in runs:
        x_RTD = x_ND[token : token + rows * tokens].view(rows, tokens, -1)
        q_RHD = q_BHD[row : row + rows]
        shares_RHT = torch.bmm(q_RHD, x_RTD.transpose(1, 2)).mul_(scale).softmax(-1)
        found.append(torch.bmm(shares_RHT, x_RTD))
        row, token = row + rows, token + rows * tokens
    return torch.cat(found)


class _RowAttention(Function):
    """One row at a time, all its heads at once: nothing is padded, so there is no mask."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, queries: Sequence[int], keys: Sequence[int], rate: float
    ) -> Tensor:
        _, heads, width = q.shape
        y_NHE = torch.empty(q.shape)
        ctx.queries, ctx.keys = queries, keys
        ctx.sizes = [heads * t * s for t, s in zip(queries, keys, strict=True)]
        p_all = torch.empty(sum(ctx.sizes))
        keep, ctx.scale = cpu.keep_mask(tuple(p_all.shape), rate) if rate else (None, 1.0)
        rows = zip(
            _by_row(q, queries), _by_row(k, keys), _by_row(v, keys), _by_row(y_NHE, queries), strict=True
        )
        for (q_HTE, k_HSE, v_HSE, y_HTE), p, kept in zip(rows, *_split(ctx.sizes, p_all, keep), strict=True):
            p_HTS = p.view(heads, q_HTE.shape[1], k_HSE.shape[1])
            torch.baddbmm(p_HTS, q_HTE, k_HSE.transpose(1, 2), beta=0, alpha=width**-0.5, out=p_HTS)
            torch.softmax(p_HTS, -1, out=p_HTS)
            y_HTE.copy_(torch.bmm(p_HTS if kept is None else p_HTS * kept.view_as(p_HTS), v_HSE))
        ctx.save_for_backward(q, k, v, p_all, keep)
        return y_NHE.mul_(ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, p_all, keep = ctx.saved_tensors
        grad = grad * ctx.scale
        gradients = tuple(torch.empty(x.shape) for x in (q, k, v))
        tokens = (ctx.queries, ctx.keys, ctx.keys)
        given = zip(*map(_by_row, (q, k, v), tokens), _by_row(grad, ctx.queries), strict=True)
        ours = zip(*map(_by_row, gradients, tokens), strict=True)
        for (q_HTE, k_HSE, v_HSE, g_HTE), (dq_HTE, dk_HSE, dv_HSE), p, kept in zip(
            given, ours, *_split(ctx.sizes, p_all, keep), strict=True
        ):
            p_HTS = p.view(len(q_HTE), q_HTE.shape[1], k_HSE.shape[1])
            dropped_HTS = p_HTS if kept is None else p_HTS * kept.view_as(p_HTS)
            dv_HSE.copy_(torch.bmm(dropped_HTS.transpose(1, 2), g_HTE))
            d_HTS = torch.bmm(g_HTE, v_HSE.transpose(1, 2))
            if kept is not None:
                d_HTS *= kept.view_as(p_HTS)
            d_HTS = torch.ops.aten._softmax_backward_data(d_HTS, p_HTS, -1, torch.float32)
            dq_HTE.copy_(torch.bmm(d_HTS, k_HSE))
            dk_HSE.copy_(torch.bmm(d_HTS.transpose(1, 2), q_HTE))
        dq, dk, dv = gradients
        scale = q.shape[-1] ** -0.5
        return dq.mul_(scale), dk.mul_(scale), dv, None, None, None


def _by_row(x_NHE: Tensor, tokens: Sequence[int]) -> list[Tensor]:
    """[H, T, E] of each row."""
    return [row.transpose(0, 1) for row in torch.split_with_sizes(x_NHE, tokens)]


def _equal_runs(queries: Sequence[int], keys: Sequence[int]) -> list[tuple[int, int, int]]:
    """Runs of consecutive rows of equal length: their queries, their keys, and the number of rows."""
    return [(*sizes, sum(1 for _ in run)) for sizes, run in groupby(zip(queries, keys, strict=True))]


def _by_run(x_NHE: Tensor, runs: Sequence[tuple[int, int, int]], which: int) -> list[Tensor]:
    """[R, H, T, E] of each run of R rows. which: 0: queries, 1: keys."""
    parts = torch.split_with_sizes(x_NHE, [run[which] * run[2] for run in runs])
    return [
        part.view(run[2], run[which], *part.shape[1:]).transpose(1, 2)
        for part, run in zip(parts, runs, strict=True)
    ]


def _split(
    sizes: list[int], p_all: Tensor, keep: Tensor | None
) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
    kept = [None] * len(sizes) if keep is None else torch.split_with_sizes(keep, sizes)
    return torch.split_with_sizes(p_all, sizes), kept
