"""Chunked cross-entropy over a vocabulary."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.models.kernels import cross_entropy
from nlptool.models.kernels.cross_entropy import linear_cross_entropy


def plain(x: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(x, weight, bias), labels, reduction="sum")


def problem(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(10, 6, dtype=dtype, requires_grad=True)
    weight = torch.randn(17, 6, dtype=dtype, requires_grad=True)
    bias = torch.randn(17, dtype=dtype, requires_grad=True)
    labels = torch.randint(0, 17, (10,))
    labels[[2, 3, 9]] = -100
    return x, weight, bias, labels


def test_two_equal_classes_cost_log_two_each_and_ignored_rows_nothing() -> None:
    x = torch.zeros(3, 4, requires_grad=True)
    weight = torch.zeros(2, 4, requires_grad=True)
    total = linear_cross_entropy(x, weight, None, torch.tensor([0, -100, 1]))
    assert total.item() == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("logits_at_once", [1, 17 * 4, 1 << 22])
@pytest.mark.parametrize("with_bias", [True, False])
def test_value_and_gradient_do_not_depend_on_the_chunks(
    logits_at_once: int, with_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK", logits_at_once)
    x, weight, bias, labels = problem()
    inputs = (x, weight, bias) if with_bias else (x, weight)
    b = bias if with_bias else None
    ours, theirs = linear_cross_entropy(x, weight, b, labels), plain(x, weight, b, labels)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for one, other in zip(
        torch.autograd.grad(0.37 * ours, inputs), torch.autograd.grad(0.37 * theirs, inputs), strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_gradient_in_float64_is_that_of_finite_differences() -> None:
    x, weight, bias, labels = problem(torch.float64)
    assert torch.autograd.gradcheck(lambda *a: linear_cross_entropy(*a, labels), (x, weight, bias))


def test_without_gradient_the_value_is_the_same() -> None:
    x, weight, bias, labels = problem()
    expected = linear_cross_entropy(x, weight, bias, labels).item()
    with torch.no_grad():
        assert linear_cross_entropy(x, weight, bias, labels).item() == pytest.approx(expected, rel=1e-6)


def test_batched_rows_are_flattened() -> None:
    x, weight, bias, labels = problem()
    flat = linear_cross_entropy(x, weight, bias, labels)
    assert torch.equal(linear_cross_entropy(x.view(2, 5, 6), weight, bias, labels.view(2, 5)), flat)


def test_under_autocast_the_products_are_low_precision_and_the_softmax_is_not() -> None:
    x, weight, bias, labels = problem()
    expected = torch.autograd.grad(linear_cross_entropy(x, weight, bias, labels), (x, weight, bias))
    with torch.autocast("cpu", torch.bfloat16):
        total = linear_cross_entropy(x, weight, bias, labels)
    assert total.dtype == torch.float32
    for one, other in zip(torch.autograd.grad(total, (x, weight, bias)), expected, strict=True):
        assert one.dtype == torch.float32
        assert 0 < (one - other).norm() < 0.02 * other.norm()


def test_logits_far_from_zero_stay_finite() -> None:
    x = torch.full((1, 1), 1e4, requires_grad=True)
    total = linear_cross_entropy(x, torch.tensor([[1.0], [-1.0]]), None, torch.tensor([1]))
    assert total.item() == pytest.approx(2e4)


UNIFORM = torch.tensor([0.0, 0.49, 0.5, 0.74, 0.76, 0.999])


def test_draws_invert_the_distribution() -> None:
    weight = torch.tensor([[0.5], [0.25], [0.25]]).log()
    x = torch.ones(6, 1)
    losses, _, drawn = cross_entropy.linear_scores_and_draw(x, weight, None, torch.zeros(6).long(), UNIFORM)
    assert drawn.tolist() == [0, 0, 1, 1, 2, 2]
    assert losses.tolist() == pytest.approx([math.log(2)] * 6)
    # At temperature 1/2 the chances are 4 : 1 : 1.
    _, _, colder = cross_entropy.linear_scores_and_draw(x, weight, None, torch.zeros(6).long(), UNIFORM, 0.5)
    assert colder.tolist() == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_draws_follow_the_softmax(temperature: float) -> None:
    """Chi-square with 16 degrees of freedom is below 39.3 but for one time in a thousand."""
    x, weight, bias, _ = problem(torch.float64)
    rows = x[:1].expand(20_000, 6)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.zeros(20_000, dtype=torch.long)
    _, drawn = cross_entropy.linear_cross_entropy_and_draw(rows, weight, bias, labels, uniform, temperature)
    expected = 20_000 * ((x[0] @ weight.t() + bias) / temperature).softmax(0)
    assert ((torch.bincount(drawn, minlength=17) - expected) ** 2 / expected).sum() < 39.3


@pytest.mark.parametrize("logits_at_once", [1, 17 * 4, 1 << 22])
def test_loss_and_draws_are_the_same_with_and_without_gradient_in_any_chunks(
    logits_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight, bias, labels = problem(torch.float64)
    uniform = torch.rand(10, dtype=torch.float64)
    plain_draws = ((x @ weight.t() + bias).softmax(1).cumsum(1) <= uniform[:, None]).sum(1)
    monkeypatch.setattr(cross_entropy, "CHUNK", logits_at_once)
    total, drawn = cross_entropy.linear_cross_entropy_and_draw(x, weight, bias, labels, uniform)
    with torch.no_grad():
        again, same = cross_entropy.linear_cross_entropy_and_draw(x, weight, bias, labels, uniform)
    assert torch.equal(drawn, plain_draws)
    assert torch.equal(same, plain_draws)
    assert not drawn.requires_grad
    assert total.item() == pytest.approx(again.item(), rel=1e-12)
    for one, other in zip(
        torch.autograd.grad(total, (x, weight, bias)),
        torch.autograd.grad(linear_cross_entropy(x, weight, bias, labels), (x, weight, bias)),
        strict=True,
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("logits_at_once", [17 * 4, 1 << 22])
def test_losses_row_by_row_have_a_gradient_each(logits_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK", logits_at_once)
    x, weight, bias, labels = problem(torch.float64)
    labels = labels.clamp(min=0)
    losses = cross_entropy.linear_cross_entropies(x, weight, bias, labels)
    expected = F.cross_entropy(x @ weight.t() + bias, labels, reduction="none")
    assert torch.allclose(losses, expected, rtol=1e-12)
    assert torch.autograd.gradcheck(
        lambda *a: cross_entropy.linear_cross_entropies(*a, labels).square(), (x, weight, bias)
    )
