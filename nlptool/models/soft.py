"""A teacher's distribution over a vocabulary as the label, without ever holding the logits of all rows."""

# N rows, C rows of one chunk, D width of the student, E of the teacher, V vocabulary

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.models.chunks import add_gradients, logits_of, rows_at_once, without_autocast
from nlptool.models.distance import divergence


class Scores(NamedTuple):
    """Logits x W' + b that are not computed yet."""

    x: Tensor
    """[..., D]."""
    weight: Tensor
    """[V, D]."""
    bias: Tensor | None
    """[V]."""


def linear_divergence(
    student: Scores, teacher: Scores, temperature: float, counted_N: Tensor | None = None
) -> Tensor:
    """T^2 KL(teacher || student) of the softened classes, in nats, summed over rows: distance.divergence.

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
        student_NV = F.linear(x_ND, *student[1:])[counted_N]
        return divergence(student_NV, F.linear(x_NE, *teacher[1:])[counted_N].detach(), temperature)
    with without_autocast(x_ND) as low:
        own = (x_ND.to(low), student.weight.to(low), student.bias)
        other = (x_NE.to(low), teacher.weight.detach().to(low), teacher.bias)
        rest = (counted_N, temperature, torch.is_grad_enabled())
        total: Tensor = _LinearDivergence.apply(*own, *other, *rest)  # type: ignore[no-untyped-call]
    return total


class _LinearDivergence(Function):
    """The gradient is computed in the forward pass, chunk by chunk, since the logits are there only then."""

    @staticmethod
    def forward(
        ctx: Any,
        x_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        x_NE: Tensor,
        weight_VE: Tensor,
        teacher_bias_V: Tensor | None,
        counted_N: Tensor,
        temperature: float,
        learns: bool,
    ) -> Tensor:
        wide = torch.promote_types(x_ND.dtype, torch.float32)
        total = x_ND.new_zeros((), dtype=wide)
        if learns:
            dx_ND, dweight_VD = torch.empty_like(x_ND), torch.zeros_like(weight_VD, dtype=wide)
            dbias_V = None if bias_V is None else torch.zeros_like(bias_V, dtype=wide)
        rows = rows_at_once(weight_VD) // 2 or 1  # two sets of logits
        for begin in range(0, len(x_ND), rows):
            chunk = slice(begin, begin + rows)
            log_q_CV = _softened(x_ND[chunk], weight_VD, bias_V, wide, temperature)
            log_p_CV = _softened(x_NE[chunk], weight_VE, teacher_bias_V, wide, temperature)
            counted_C1 = counted_N[chunk, None].to(wide)
            p_CV = log_p_CV.exp() * counted_C1
            total += (p_CV * log_p_CV.sub_(log_q_CV)).sum()
            if learns:
                d_CV = log_q_CV.exp_().mul_(counted_C1).sub_(p_CV).mul_(temperature)
                add_gradients(d_CV, x_ND[chunk], weight_VD, dx_ND[chunk], dweight_VD, dbias_V)
        if learns:
            ctx.save_for_backward(dx_ND, dweight_VD.to(weight_VD.dtype), dbias_V)
        return total.mul_(temperature**2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return (
            *(None if x is None else (x * grad).to(x.dtype) for x in ctx.saved_tensors),
            *(None,) * 6,
        )


def _softened(
    x_CD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, wide: torch.dtype, temperature: float
) -> Tensor:
    """log softmax(logits / T), [C, V]."""
    return logits_of(x_CD, weight_VD, bias_V, wide).div_(temperature).log_softmax(1)
