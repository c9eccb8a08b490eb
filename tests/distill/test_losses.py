"""Distillation losses against values by hand."""

import math

import pytest
import torch

from nlptool.distill import losses


def test_the_soft_cross_entropy_is_that_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[math.log(4.0), 0.0]])
    expected = -(0.8 * math.log(0.25) + 0.2 * math.log(0.75))
    assert losses.soft_cross_entropy(student, teacher).item() == pytest.approx(expected)


def test_cosine_distance_is_0_for_parallel_1_for_orthogonal_and_2_for_opposite_states() -> None:
    teacher = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]])
    student = torch.tensor([[[5.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]])
    assert losses.cosine_distance(student, teacher).item() == pytest.approx(3)


def test_hidden_states_cost_the_mean_over_their_width() -> None:
    assert losses.hidden_error(torch.zeros(1, 2, 4), torch.full((1, 2, 4), 3.0)).item() == 18


def test_attention_costs_the_mean_over_heads_of_all_pairs() -> None:
    teacher = torch.stack([torch.zeros(3, 3), torch.full((3, 3), 2.0)])[None]
    assert losses.attention_error(torch.zeros(1, 2, 3, 3), teacher).item() == 9 * 2
    with pytest.raises(ValueError, match="3 heads cannot be compared with 2"):
        losses.attention_error(torch.zeros(1, 3, 3, 3), teacher)


def test_what_comes_later_costs_a_decoder_nothing() -> None:
    student = torch.ones(1, 2, 3, 3).triu(1) * 9
    assert losses.attention_error(student, torch.zeros(1, 2, 3, 3), causal=True).item() == 0
    assert losses.attention_error(student + 1, torch.zeros(1, 2, 3, 3), causal=True).item() == 6


@pytest.mark.parametrize(
    ("name", "shape"),
    [("hidden_error", (2, 5, 4)), ("attention_error", (2, 3, 5, 5))],
)
def test_padding_neither_costs_nor_has_a_gradient(name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(shape, requires_grad=True), torch.randn(shape)
    error = getattr(losses, name)
    cost = error(student, teacher, torch.tensor([5, 3]))
    short = (slice(1, 2), *(slice(3) if size == 5 else slice(None) for size in shape[1:]))
    assert cost.item() == pytest.approx(
        (error(student[:1], teacher[:1]) + error(student[short], teacher[short])).item()
    )
    (gradient,) = torch.autograd.grad(cost, student)
    kept = torch.zeros(shape)
    kept[0] = 1
    kept[short] = 1
    assert not gradient[kept == 0].any()
    assert gradient[kept == 1].all()


@pytest.mark.parametrize("name", ["soft_cross_entropy", "cosine_distance", "hidden_error", "attention_error"])
def test_half_precision_is_compared_in_single(name: str) -> None:
    values = torch.ones(1, 2, 2, 2, dtype=torch.bfloat16)
    assert getattr(losses, name)(values, values).dtype == torch.float32
