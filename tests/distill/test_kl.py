"""The distillation loss over a vocabulary in chunks equals that over all at once."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.distill.kl import LazyLogits, linear_divergence, linear_sparse_divergence, top_k
from nlptool.models.kernels import cross_entropy

ROWS, VOCAB = 11, 37


def scores(width: int, *, bias: bool = True, dtype: torch.dtype = torch.float64) -> LazyLogits:
    made = [torch.randn(shape, dtype=dtype) for shape in ((ROWS, width), (VOCAB, width), (VOCAB,))]
    x, weight, b = (tensor.requires_grad_() for tensor in made)
    return LazyLogits(x, weight, b if bias else None)


def plain(student: LazyLogits, teacher: LazyLogits, temperature: float, counted: Tensor) -> Tensor:
    """By torch's own divergence, all logits at once."""
    q, p = (F.linear(*one) / temperature for one in (student, teacher))
    rows = F.kl_div(q.log_softmax(1), p.softmax(1), reduction="none").sum(1)
    return temperature**2 * (rows * counted).sum()


@pytest.mark.parametrize("rows", [1, 4, 100])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_loss_and_its_gradients_are_those_of_torch(
    rows: int, bias: bool, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(cross_entropy, "CHUNK", 2 * rows * VOCAB)
    student, teacher = scores(8, bias=bias), scores(5)
    counted = torch.arange(ROWS) % 3 != 1
    expected = plain(student, teacher, temperature, counted.double())
    learnt = [tensor for tensor in student if tensor is not None]
    wanted = torch.autograd.grad(3 * expected, learnt)
    total = linear_divergence(student, teacher, temperature, counted)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    for one, other in zip(torch.autograd.grad(3 * total, learnt), wanted, strict=True):
        assert (one - other).abs().max() < 1e-12
    with torch.no_grad():
        assert linear_divergence(student, teacher, temperature, counted).item() == total.item()


def test_two_words_are_as_by_hand() -> None:
    """Teacher (3/4, 1/4), student (1/2, 1/2), both softened by T = 2; times T^2."""
    zero, weight = torch.zeros(1, 2), torch.eye(2)
    teacher = LazyLogits(torch.tensor([[math.log(9.0), 0.0]]), weight, None)
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert linear_divergence(LazyLogits(zero, weight, None), teacher, 2.0).item() == pytest.approx(expected)


def test_a_teacher_learns_nothing() -> None:
    student, teacher = scores(4), scores(4)
    linear_divergence(student, teacher, 2.0).backward()
    assert student.weight.grad is not None
    assert [one.grad for one in teacher] == [None] * 3


def test_half_precision_has_single_precisions_softmax() -> None:
    torch.manual_seed(0)
    student, teacher = scores(8, dtype=torch.float32), scores(8, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        total = linear_divergence(student, teacher, 1.0)
    assert total.dtype == torch.float32
    exact = plain(student, teacher, 1.0, torch.ones(ROWS))
    assert total.item() == pytest.approx(exact.item(), rel=0.05)
    total.backward()
    assert student.x.grad.dtype == torch.float32


def test_the_teachers_product_is_counted_once_and_the_students_three_times() -> None:
    with flops.counting() as count:
        linear_divergence(scores(8), scores(5), 2.0)
    assert count.operations == 2 * ROWS * VOCAB * (8 + 5)
    assert count.step == 2 * ROWS * VOCAB * (3 * 8 + 5)


def test_compiled_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    student, teacher = scores(8), scores(5)
    counted = torch.arange(ROWS) % 3 != 1
    expected = linear_divergence(student, teacher, 2.0, counted)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert linear_divergence(student, teacher, 2.0, counted).item() == pytest.approx(expected.item())


def known_only(
    student: LazyLogits, ids: Tensor, log_p: Tensor, temperature: float, counted: Tensor
) -> Tensor:
    """The divergence of the likeliest classes and of all others as one, by torch."""
    log_q = (F.linear(*student) / temperature).log_softmax(1)
    p, q = log_p.exp(), log_q.gather(1, ids).exp()
    others = [1 - share.sum(1, keepdim=True) for share in (p, q)]
    wanted, given = (torch.cat(pair, 1) for pair in ((p, others[0]), (q, others[1])))
    return temperature**2 * ((wanted * (wanted.log() - given.log())).sum(1) * counted).sum()


@pytest.mark.parametrize("rows", [1, 4, 100])
@pytest.mark.parametrize("number", [1, 5, VOCAB - 2])
def test_of_a_teacher_the_likeliest_classes_may_be_known_only(
    rows: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(cross_entropy, "CHUNK", 2 * rows * VOCAB)
    student, teacher, temperature = scores(8), scores(5), 2.0
    counted = torch.arange(ROWS) % 3 != 1
    ids, log_p = top_k(teacher, temperature, number)
    logits = F.linear(*teacher).detach() / temperature
    assert torch.equal(ids, logits.topk(number).indices)
    torch.testing.assert_close(log_p, logits.log_softmax(1).gather(1, ids))
    expected = known_only(student, ids, log_p, temperature, counted.double())
    wanted = torch.autograd.grad(3 * expected, student)
    total = linear_sparse_divergence(student, ids, log_p, temperature, counted)
    assert total.item() == pytest.approx(expected.item(), rel=1e-11)
    for one, other in zip(torch.autograd.grad(3 * total, student), wanted, strict=True):
        assert (one - other).abs().max() < 1e-11
    with torch.no_grad():
        assert linear_sparse_divergence(student, ids, log_p, temperature, counted).item() == total.item()
    assert total.item() <= linear_divergence(student, teacher, temperature, counted).item() + 1e-12
