"""Cross-entropy over a vocabulary, a chunk of rows at a time: the logits of all rows never exist at once."""

# N rows, C rows of one chunk, D width, V vocabulary

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.models.kernels import cpu

IGNORED = -100  # label of a row that is ignored, as in torch and Hugging Face

# Logits held at once. On a CPU 16 MB, about the size of its last-level cache; on a GPU a gigabyte, so that
# products are large enough to keep it busy.
CHUNK, ON_GPU = 1 << 22, 1 << 28


def linear_cross_entropy(x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor) -> Tensor:
    """Sum over rows of -log softmax(x W' + b)[label], in nats; rows labelled -100 count nothing.

    x_ND: [..., D]; labels_N: [...]. The softmax is float32 (or float64 when x is).
    """
    if not torch.is_grad_enabled():
        return linear_scores(x_ND, weight_VD, bias_V, labels_N)[0].sum()
    total, _ = _loss_and_drawn(x_ND, weight_VD, bias_V, labels_N, None, 1.0)
    return total


def linear_cross_entropy_and_draw(
    x_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    labels_N: Tensor,
    uniform_N: Tensor,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """linear_cross_entropy, and a class for each row, sampled from the same logits, [...].

    The class is sampled from softmax((x W' + b) / temperature) by inverting its distribution function. uniform_N:
    [...], a number in [0, 1) per row, the only source of randomness. Sampling has no gradient.
    """
    if not torch.is_grad_enabled():
        scores = linear_scores_and_draw(x_ND, weight_VD, bias_V, labels_N, uniform_N, temperature)
        return scores[0].sum(), scores[2]
    total, drawn_N = _loss_and_drawn(x_ND, weight_VD, bias_V, labels_N, uniform_N.flatten(), temperature)
    return total, drawn_N.view(uniform_N.shape)


@torch.no_grad()
def linear_scores(
    x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor
) -> tuple[Tensor, Tensor]:
    """linear_cross_entropy of each row, and whether the label has the largest logit; both [...], without gradient."""
    losses_N, correct_N, _ = _scores(x_ND, weight_VD, bias_V, labels_N, None, 1.0)
    return losses_N, correct_N


@torch.no_grad()
def linear_scores_and_draw(
    x_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    labels_N: Tensor,
    uniform_N: Tensor,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """linear_scores, and the classes that linear_cross_entropy_and_draw samples."""
    return _scores(x_ND, weight_VD, bias_V, labels_N, uniform_N, temperature)


def linear_cross_entropies(
    x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor
) -> Tensor:
    """linear_cross_entropy of each row, [...], with a gradient; every label is a class.

    For losses that are not a plain sum of them. The backward pass computes the logits again.
    """
    shape = labels_N.shape
    x_ND, labels_N = x_ND.flatten(0, -2), labels_N.flatten()
    flops.product(x_ND.shape[0], x_ND.shape[1], weight_VD.shape[0])
    if torch.compiler.is_compiling():
        logits_NV = F.linear(x_ND, weight_VD, bias_V)
        wide = torch.promote_types(logits_NV.dtype, torch.float32)
        return F.cross_entropy(logits_NV.to(wide), labels_N, reduction="none").view(shape)
    with without_autocast(x_ND) as low:
        arguments = (x_ND.to(low), weight_VD.to(low), bias_V, labels_N, chunk_rows(weight_VD))
        losses_N: Tensor = _LinearCrossEntropies.apply(*arguments)  # type: ignore[no-untyped-call]
    return losses_N.view(shape)


def _invert(weights_NV: Tensor, uniform_N: Tensor) -> Tensor:
    """The first class whose cumulative weight exceeds `uniform` of the row's total."""
    below_NV = weights_NV.cumsum(1)
    target_N1 = below_NV[:, -1:] * uniform_N[:, None].to(below_NV.dtype)
    found_N: Tensor = torch.searchsorted(below_NV, target_N1, right=True)[:, 0]
    return found_N.clamp(max=weights_NV.shape[1] - 1)  # rounding may make uniform 1


def _scores(
    x_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    labels_N: Tensor,
    uniform_N: Tensor | None,
    temperature: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, whether right, and sampled classes; labels in their place where no `uniform_N` is given."""
    shape = labels_N.shape
    x_ND, labels_N = x_ND.flatten(0, -2), labels_N.flatten()
    flops.product(x_ND.shape[0], x_ND.shape[1], weight_VD.shape[0])
    wide = torch.promote_types(x_ND.dtype, torch.float32)
    losses_N, correct_N = torch.empty_like(labels_N, dtype=wide), torch.empty_like(labels_N, dtype=torch.bool)
    drawn_N = labels_N.clone()
    rows = chunk_rows(weight_VD)
    for begin in range(0, len(x_ND), rows):
        chunk = slice(begin, begin + rows)
        logits_CV = logits_of(x_ND[chunk], weight_VD, bias_V, wide)
        losses_N[chunk] = F.cross_entropy(logits_CV, labels_N[chunk], ignore_index=IGNORED, reduction="none")
        correct_N[chunk] = logits_CV.argmax(1) == labels_N[chunk]
        if uniform_N is not None:
            drawn_N[chunk] = _invert((logits_CV / temperature).softmax(-1), uniform_N.flatten()[chunk])
    return losses_N.view(shape), correct_N.view(shape), drawn_N.view(shape)


def _loss_and_drawn(
    x_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    labels_N: Tensor,
    uniform_N: Tensor | None,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    x_ND, labels_N = x_ND.flatten(0, -2), labels_N.flatten()
    flops.product(x_ND.shape[0], x_ND.shape[1], weight_VD.shape[0])
    if torch.compiler.is_compiling():
        logits_NV = F.linear(x_ND, weight_VD, bias_V)
        logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
        total = F.cross_entropy(logits_NV, labels_N, ignore_index=IGNORED, reduction="sum")
        if uniform_N is None:
            return total, labels_N
        return total, _invert((logits_NV.detach() / temperature).softmax(-1), uniform_N)
    with without_autocast(x_ND) as low:
        arguments = (x_ND.to(low), weight_VD.to(low), bias_V, labels_N, uniform_N, temperature)
        return _LinearCrossEntropy.apply(*arguments, chunk_rows(weight_VD))  # type: ignore[no-any-return, no-untyped-call]


class _LinearCrossEntropy(Function):
    """The gradient is computed in the forward pass, chunk by chunk, while the logits exist."""

    @staticmethod
    def forward(
        ctx: Any,
        x_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        labels_N: Tensor,
        uniform_N: Tensor | None,
        temperature: float,
        rows: int,
    ) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(x_ND.dtype, torch.float32)
        total = x_ND.new_zeros((), dtype=wide)
        drawn_N = torch.empty_like(labels_N)
        dx_ND = torch.empty_like(x_ND)
        dweight_VD = torch.zeros_like(weight_VD, dtype=wide)
        dbias_V = None if bias_V is None else torch.zeros_like(bias_V, dtype=wide)
        for begin in range(0, len(x_ND), rows):
            chunk = slice(begin, begin + rows)
            x_CD, labels_C = x_ND[chunk], labels_N[chunk]
            keep_C1 = (labels_C != IGNORED).to(wide)[:, None]
            label_C1 = labels_C.clamp(min=0)[:, None]
            p_CV = logits_of(x_CD, weight_VD, bias_V, wide)
            p_CV -= p_CV.amax(1, keepdim=True)
            chosen_C1 = p_CV.gather(1, label_C1)
            sum_C1 = p_CV.exp_().sum(1, keepdim=True)
            if uniform_N is not None:
                weights_CV = p_CV if temperature == 1 else p_CV ** (1 / temperature)
                drawn_N[chunk] = _invert(weights_CV, uniform_N[chunk])
            total += ((sum_C1.log() - chosen_C1) * keep_C1).sum()
            p_CV *= keep_C1 / sum_C1
            # The gradient: probabilities minus one at the label.
            d_CV = p_CV.scatter_add_(1, label_C1, -keep_C1)
            add_gradients(d_CV, x_CD, weight_VD, dx_ND[chunk], dweight_VD, dbias_V)
        ctx.save_for_backward(dx_ND, dweight_VD.to(weight_VD.dtype), dbias_V)
        ctx.mark_non_differentiable(drawn_N)
        return total, drawn_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        dx_ND, dweight_VD, dbias_V = ctx.saved_tensors
        return (
            *(None if x is None else (x * grad).to(x.dtype) for x in (dx_ND, dweight_VD, dbias_V)),
            *(None,) * 4,
        )


class _LinearCrossEntropies(Function):
    """Stores one number per row and computes the logits again, since their gradient depends on the caller's."""

    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor, rows: int
    ) -> Tensor:
        wide = torch.promote_types(x_ND.dtype, torch.float32)
        losses_N, norms_N = (x_ND.new_empty(len(x_ND), dtype=wide) for _ in range(2))
        for begin in range(0, len(x_ND), rows):
            chunk = slice(begin, begin + rows)
            logits_CV = logits_of(x_ND[chunk], weight_VD, bias_V, wide)
            norms_N[chunk] = logits_CV.logsumexp(1)
            losses_N[chunk] = norms_N[chunk] - logits_CV.gather(1, labels_N[chunk, None])[:, 0]
        ctx.save_for_backward(x_ND, weight_VD, bias_V, labels_N, norms_N)
        ctx.rows = rows
        return losses_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor | None, ...]:
        x_ND, weight_VD, bias_V, labels_N, norms_N = ctx.saved_tensors
        wide = norms_N.dtype
        dx_ND = torch.empty_like(x_ND)
        dweight_VD = torch.zeros_like(weight_VD, dtype=wide)
        dbias_V = None if bias_V is None else torch.zeros_like(bias_V, dtype=wide)
        for begin in range(0, len(x_ND), ctx.rows):
            chunk = slice(begin, begin + ctx.rows)
            grad_C1 = grad_N[chunk, None]
            d_CV = logits_of(x_ND[chunk], weight_VD, bias_V, wide).sub_(norms_N[chunk, None]).exp_()
            d_CV.mul_(grad_C1).scatter_add_(1, labels_N[chunk, None], -grad_C1)
            add_gradients(d_CV, x_ND[chunk], weight_VD, dx_ND[chunk], dweight_VD, dbias_V)
        return dx_ND, dweight_VD.to(weight_VD.dtype), dbias_V, None, None


def chunk_rows(weight_VD: Tensor) -> int:
    """Rows of a chunk."""
    return max(1, (ON_GPU if weight_VD.is_cuda else CHUNK) // weight_VD.shape[0])


@contextmanager
def without_autocast(x: Tensor) -> Iterator[torch.dtype]:
    """Turn autocast off, and yield the type that it would have cast x to."""
    device = "cpu" if x.is_meta else x.device.type  # autocast does not support the meta device
    low = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    with torch.autocast(device, enabled=False):
        yield low


def logits_of(x_CD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, wide: torch.dtype) -> Tensor:
    """x W' + b, [C, V], as a new tensor of type `wide`."""
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
    """Add a chunk's gradients, given the gradient of its logits; dx is overwritten."""
    if dbias_V is not None:
        dbias_V += d_CV.sum(0)
    d_CV = d_CV.to(x_CD.dtype)
    dx_CD.copy_(_product(d_CV, weight_VD.t()))
    if dweight_VD.dtype == x_CD.dtype:
        with cpu.onednn_products(cpu.usable(x_CD)):
            dweight_VD.addmm_(d_CV.t(), x_CD)
    else:
        dweight_VD += d_CV.t() @ x_CD


def _product(x: Tensor, weight: Tensor) -> Tensor:
    return cpu.product(x, weight) if cpu.usable(x) else F.linear(x, weight)
