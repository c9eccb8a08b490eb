"""The losses of distillation, as sums over rows or real positions.

The caller divides by the number of rows or positions; padding is excluded. A teacher is given as tensors without
gradient. All is computed in single precision at least.
"""

# B batch, T tokens, D width, H heads, N rows, C classes

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.models.layers import HiddenStates


def soft_cross_entropy(student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
    """-softmax(teacher) . log softmax(student), summed over rows (Jiao et al. 2020, eq. 10, at temperature 1).

    TinyBERT's code takes the mean over classes, too: it has 1/C of this.
    """
    student_NC, teacher_NC = _wide(student_NC), _wide(teacher_NC)
    return -(teacher_NC.softmax(-1) * student_NC.log_softmax(-1)).sum()


def cosine_distance(student_BTD: Tensor, teacher_BTD: Tensor) -> Tensor:
    """1 - cos of the two hidden states, summed over positions, none of them padding (Sanh et al. 2019, section 3)."""
    return (1 - F.cosine_similarity(_wide(student_BTD), _wide(teacher_BTD), -1)).sum()


def hidden_error(student_BTD: Tensor, teacher_BTD: Tensor, lengths_B: Tensor | None = None) -> Tensor:
    """Squared error of hidden states or embeddings, mean over their width, summed over real positions.

    For a narrower student pass its states through a learned matrix (Jiao et al. 2020, eqs. 8 and 9). TinyBERT's code
    counts the padding, too.
    """
    return _real((_wide(student_BTD) - _wide(teacher_BTD)).square().mean(-1), lengths_B).sum()


def attention_error(
    student_BHTT: Tensor, teacher_BHTT: Tensor, lengths_B: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """Squared error of attention scores, mean over heads, summed over pairs of real positions (TinyBERT, eq. 7).

    Scores are those before the softmax, which the paper found easier to fit. A row of n tokens has n^2 pairs;
    TinyBERT's code divides by T^2, and takes keys that are padding as equal. causal: a token and those before
    it make n (n + 1) / 2.
    """
    if student_BHTT.shape[1] != teacher_BHTT.shape[1]:
        raise ValueError(f"{student_BHTT.shape[1]} heads cannot be compared with {teacher_BHTT.shape[1]}")
    error_BTT = (_wide(student_BHTT) - _wide(teacher_BHTT)).square().mean(1)
    if causal:
        error_BTT = error_BTT.tril()
    if lengths_B is None:
        return error_BTT.sum()
    return _real(_real(error_BTT, lengths_B).sum(1), lengths_B).sum()


def hidden_errors(
    student: HiddenStates,
    teacher: HiddenStates,
    layers: Mapping[int, int],
    project: Callable[[Tensor], Tensor] | None = None,
    lengths_B: Tensor | None = None,
) -> Tensor:
    """hidden_error, summed over layers. layers: the teacher's layer for each of the student's; 0: the embeddings.

    project: maps the student's states to the teacher's width.
    """
    pairs = [(student.states[own], teacher.states[theirs]) for own, theirs in layers.items()]
    errors = [
        hidden_error(own if project is None else project(own), theirs, lengths_B) for own, theirs in pairs
    ]
    return torch.stack(errors).sum()


def attention_errors(
    student: HiddenStates,
    teacher: HiddenStates,
    layers: Mapping[int, int],
    lengths_B: Tensor | None = None,
    *,
    causal: bool = False,
) -> Tensor:
    """attention_error, summed over layers, as in hidden_errors."""
    pairs = [(student.scores[own], teacher.scores[theirs]) for own, theirs in layers.items()]
    return torch.stack([attention_error(*pair, lengths_B, causal=causal) for pair in pairs]).sum()


def _real(values_BT: Tensor, lengths_B: Tensor | None) -> Tensor:
    """[B, T, ...] with padding set to 0."""
    if lengths_B is None:
        return values_BT
    real_BT = torch.arange(values_BT.shape[1], device=lengths_B.device) < lengths_B[:, None]
    return values_BT.where(real_BT.view(*real_BT.shape, *(1,) * (values_BT.ndim - 2)), 0.0)


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
