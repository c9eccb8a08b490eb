"""KL divergence from a teacher's distribution over a vocabulary, a chunk of rows at a time."""

# N rows, C rows of one chunk, D width of the student, E of the teacher, V vocabulary, K most probable classes

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.models.kernels.cross_entropy import add_gradients, chunk_rows, logits_of, without_autocast


class LazyLogits(NamedTuple):
    """Logits x W' + b, to be computed later."""

    x: Tensor
    """[..., D]."""
    weight: Tensor
    """[V, D]."""
    bias: Tensor | None
    """[V]."""


def linear_divergence(
    student: LazyLogits, teacher: LazyLogits, temperature: float, counted_N: Tensor | None = None
) -> Tensor:
    """T^2 KL(teacher || student) of the softened classes, in nats, summed over rows (Hinton et al. 2015, section 2).

    softmax(logits / T) on both sides; T^2 keeps the gradient's size whatever T is. DistilBERT's L_ce: its paper
    writes the cross-entropy, which has the same gradient, its code this divergence, whose minimum is 0.
    The student has a gradient, the teacher none. counted_N: bool, [...]: rows that count; None: all.
    """
    if counted_N is None:
        counted_N = student.x.new_ones(student.x.shape[:-1], dtype=torch.bool)
    counted_N = counted_N.flatten()
    x_ND, x_NE = student.x.flatten(0, -2), teacher.x.detach().flatten(0, -2)
    vocab_size = len(student.weight)
    flops.product(len(x_ND), x_ND.shape[1], vocab_size)
    with flops.no_backward():
        flops.product(len(x_NE), x_NE.shape[1], vocab_size)
    if torch.compiler.is_compiling():
        log_q_NV = _at_once(x_ND, *student[1:], temperature)
        log_p_NV = _at_once(x_NE, *teacher[1:], temperature).detach()
        losses_N = F.kl_div(log_q_NV, log_p_NV, reduction="none", log_target=True).sum(1)
        return temperature**2 * (losses_N * counted_N).sum()
    with without_autocast(x_ND) as low:
        other = (x_NE.to(low), teacher.weight.detach().to(low), teacher.bias)

        def wanted(chunk: slice, log_q_CV: Tensor) -> tuple[Tensor, Tensor]:
            log_p_CV = _softened(other[0][chunk], *other[1:], log_q_CV.dtype, temperature)
            p_CV = log_p_CV.exp()
            return (p_CV * log_p_CV.sub_(log_q_CV)).sum(1), p_CV

        own = (x_ND.to(low), student.weight.to(low), student.bias)
        return _towards(own, wanted, counted_N, temperature)


Wanted = Callable[[slice, Tensor], tuple[Tensor, Tensor]]
"""For a chunk, given log q [C, V]: each row's divergence, [C], and the target distribution, [C, V]."""


def _towards(
    own: tuple[Tensor, Tensor, Tensor | None], wanted: Wanted, counted_N: Tensor, temperature: float
) -> Tensor:
    rest = (counted_N, temperature, wanted, torch.is_grad_enabled())
    total: Tensor = _LinearDivergence.apply(*own, *rest)  # type: ignore[no-untyped-call]
    return total


class _LinearDivergence(Function):
    """The gradient is computed in the forward pass, chunk by chunk, while the logits exist."""

    @staticmethod
    def forward(
        ctx: Any,
        x_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        counted_N: Tensor,
        temperature: float,
        wanted: Wanted,
        learns: bool,
    ) -> Tensor:
        wide = torch.promote_types(x_ND.dtype, torch.float32)
        total = x_ND.new_zeros((), dtype=wide)
        if learns:
            dx_ND, dweight_VD = torch.empty_like(x_ND), torch.zeros_like(weight_VD, dtype=wide)
            dbias_V = None if bias_V is None else torch.zeros_like(bias_V, dtype=wide)
        rows = chunk_rows(weight_VD) // 2 or 1  # two sets of logits
        for begin in range(0, len(x_ND), rows):
            chunk = slice(begin, begin + rows)
            log_q_CV = _softened(x_ND[chunk], weight_VD, bias_V, wide, temperature)
            losses_C, p_CV = wanted(chunk, log_q_CV)
            counted_C1 = counted_N[chunk, None].to(wide)
            total += (losses_C * counted_C1[:, 0]).sum()
            if learns:
                d_CV = log_q_CV.exp_().sub_(p_CV).mul_(counted_C1).mul_(temperature)
                add_gradients(d_CV, x_ND[chunk], weight_VD, dx_ND[chunk], dweight_VD, dbias_V)
        if learns:
            ctx.save_for_backward(dx_ND, dweight_VD.to(weight_VD.dtype), dbias_V)
        return total.mul_(temperature**2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return (
            *(None if x is None else (x * grad).to(x.dtype) for x in ctx.saved_tensors),
            *(None,) * 4,
        )


@torch.no_grad()
def top_k(scores: LazyLogits, temperature: float, number: int) -> tuple[Tensor, Tensor]:
    """The K most probable classes of each row, [..., K], and their log softmax(logits / T)."""
    x_ND, vocab_size = scores.x.flatten(0, -2), len(scores.weight)
    with flops.no_backward():
        flops.product(len(x_ND), x_ND.shape[1], vocab_size)
    with without_autocast(x_ND) as low:
        x_ND, weight_VD = x_ND.to(low), scores.weight.to(low)
        wide, rows = torch.promote_types(low, torch.float32), chunk_rows(weight_VD)
        found = [
            _softened(x_ND[begin : begin + rows], weight_VD, scores.bias, wide, temperature).topk(number)
            for begin in range(0, len(x_ND), rows)
        ]
    shape = (*scores.x.shape[:-1], number)
    return torch.cat([f.indices for f in found]).view(shape), torch.cat([f.values for f in found]).view(shape)


def linear_sparse_divergence(
    student: LazyLogits,
    ids_NK: Tensor,
    log_p_NK: Tensor,
    temperature: float,
    counted_N: Tensor | None = None,
) -> Tensor:
    """linear_divergence given only the teacher's K most probable classes, K < V, from `top_k`.

    The others form one class with the remaining probability, so it is the divergence of K + 1 classes, never more
    than that of all.
    """
    x_ND = student.x.flatten(0, -2)
    if counted_N is None:
        counted_N = x_ND.new_ones(len(x_ND), dtype=torch.bool)
    flops.product(len(x_ND), x_ND.shape[1], len(student.weight))
    ids_NK, log_p_NK = ids_NK.flatten(0, -2), log_p_NK.flatten(0, -2)
    counted_N = counted_N.flatten()
    if torch.compiler.is_compiling():
        log_q_NV = _at_once(x_ND, *student[1:], temperature)
        losses_N, _ = _sparse(log_q_NV, ids_NK, log_p_NK.to(log_q_NV.dtype))
        return temperature**2 * (losses_N * counted_N).sum()
    with without_autocast(x_ND) as low:

        def wanted(chunk: slice, log_q_CV: Tensor) -> tuple[Tensor, Tensor]:
            return _sparse(log_q_CV, ids_NK[chunk], log_p_NK[chunk].to(log_q_CV.dtype))

        own = (x_ND.to(low), student.weight.to(low), student.bias)
        return _towards(own, wanted, counted_N, temperature)


def _sparse(log_q_CV: Tensor, ids_CK: Tensor, log_p_CK: Tensor) -> tuple[Tensor, Tensor]:
    """Wanted for the K most probable classes; the others are distributed in proportion to q."""
    p_CK = log_p_CK.exp()
    other_C1 = (1 - p_CK.sum(1, keepdim=True)).clamp(min=0)
    log_others_CV = log_q_CV.scatter(1, ids_CK, -torch.inf)
    log_other_C1 = log_others_CV.logsumexp(1, keepdim=True)
    known_C = (p_CK * (log_p_CK - log_q_CV.gather(1, ids_CK))).sum(1)
    others_C = (torch.xlogy(other_C1, other_C1) - other_C1 * log_other_C1)[:, 0]
    p_CV = log_others_CV.sub_(log_other_C1).exp_().mul_(other_C1).scatter_(1, ids_CK, p_CK)
    return known_C + others_C, p_CV


def _softened(
    x_CD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, wide: torch.dtype, temperature: float
) -> Tensor:
    """log softmax(logits / T), [C, V]."""
    return logits_of(x_CD, weight_VD, bias_V, wide).div_(temperature).log_softmax(1)


def _at_once(x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, temperature: float) -> Tensor:
    """The same for all rows at once, [N, V], for the compiler."""
    logits_NV = F.linear(x_ND, weight_VD, bias_V)
    wide = torch.promote_types(logits_NV.dtype, torch.float32)
    return (logits_NV.to(wide) / temperature).log_softmax(1)
