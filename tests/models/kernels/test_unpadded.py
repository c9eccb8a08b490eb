"""Unpadded rows against padded ones."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nlptool import flops, registry
from nlptool.models.base import Inputs
from nlptool.models.kernels import cpu, row_attention, unpadded
from nlptool.models.kernels.unpadded import UnpaddedBatch

LENGTHS = torch.tensor([9, 4, 1, 5])


def made(family: str) -> torch.nn.Module:
    torch.manual_seed(0)
    config = registry.config("models", family)(
        layers=3, hidden=48, heads=4, intermediate=96, dropout=0, attention_dropout=0
    )
    return config.build(100)


@pytest.mark.parametrize("at", [None, [[0, 3], [0, 1], [0, 0], [4, 2]], [[8], [0], [0], [3]]])
@pytest.mark.parametrize("family", ["bert", "albert", "electra", "distilbert"])
def test_states_and_gradients_are_those_of_padded_rows(
    family: str, at: list[list[int]] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(family)
    ids_BT = torch.randint(0, 100, (4, 9))
    types_BT = None if family == "distilbert" else torch.randint(0, 2, (4, 9))
    at_BK = None if at is None else torch.tensor(at)
    real = (torch.arange(9) < LENGTHS[:, None])[:, :, None] if at is None else torch.tensor(1.0)

    def states_and_gradients() -> tuple[Tensor, list[Tensor]]:
        states = (
            model(Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=LENGTHS, output_positions=at_BK)) * real
        )
        torch.manual_seed(1)
        given = torch.autograd.grad(states, list(model.parameters()), torch.randn(states.shape))
        return states.detach(), list(given)

    rows: list[int] = []
    alone = row_attention.attention_of_rows
    monkeypatch.setattr(row_attention, "attention_of_rows", lambda *a: rows.append(len(a[3])) or alone(*a))
    ours, our_gradients = states_and_gradients()
    assert rows == [5, 5, 5]
    monkeypatch.setattr(unpadded, "usable", lambda *given: False)
    padded, gradients = states_and_gradients()
    assert rows == [5, 5, 5]
    torch.testing.assert_close(ours, padded, atol=1e-5, rtol=1e-5)
    monkeypatch.undo()
    with torch.no_grad():
        torch.testing.assert_close(
            model(Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=LENGTHS, output_positions=at_BK))
            * real,
            padded,
            atol=1e-5,
            rtol=1e-5,
        )
    for one, other in zip(our_gradients, gradients, strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm() + 1e-6


@pytest.mark.parametrize("at", [None, [[4], [0], [1], [4], [2], [0]]])
@pytest.mark.parametrize("family", ["bert", "albert", "distilbert", "electra"])
def test_rows_of_equal_length_are_answered_together(
    family: str, at: list[list[int]] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(family).eval()
    lengths, at_BK = torch.tensor([5, 5, 3, 5, 5, 5]), None if at is None else torch.tensor(at)
    rows = Inputs(ids=torch.randint(0, 100, (6, 5)), lengths=lengths, output_positions=at_BK)
    expected = model(rows).detach()  # row by row, as for a gradient
    calls: list[int] = []
    attend = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda q, *a, **k: calls.append(len(q)) or attend(q, *a, **k),
    )
    with torch.inference_mode():
        found = model(rows)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    runs = [2, 1, 3, 1]  # and what fills up the tokens
    assert calls == runs * (3 if at is None else 2), "of a single position, no keys are made"


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_attention_of_rows_is_that_of_each_row_by_itself(rate: float) -> None:
    """Gradients by the definition, since the same seed drops the same."""
    torch.manual_seed(0)
    queries, keys = [2, 3, 0], [4, 3, 2]
    q, k, v = (torch.randn(n, 2, 8, requires_grad=True) for n in (5, 9, 9))

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        torch.manual_seed(5)
        return row_attention.attention_of_rows(q, k, v, queries, keys, rate)

    torch.manual_seed(5)
    keep, scale = cpu.keep_mask((2 * (2 * 4 + 3 * 3),), rate) if rate else (torch.ones(34), 1.0)
    expected = []
    for rows_q, rows_k, mask in ((slice(2), slice(4), keep[:16]), (slice(2, 5), slice(4, 7), keep[16:])):
        scores = torch.einsum("the,she->hts", q[rows_q], k[rows_k]) / 8**0.5
        shares = scores.softmax(-1) * mask.view(scores.shape) * scale
        expected.append(torch.einsum("hts,she->the", shares, v[rows_k]))
    theirs, ours = torch.cat(expected), attention(q, k, v)
    torch.testing.assert_close(ours, theirs)
    towards = torch.randn(ours.shape)
    for one, other in zip(
        torch.autograd.grad(ours, (q, k, v), towards),
        torch.autograd.grad(theirs, (q, k, v), towards),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_row_does_not_see_its_neighbours() -> None:
    model = made("bert")
    ids_BT = torch.randint(0, 100, (4, 9))
    alone = model(Inputs(ids=ids_BT[3:, :5], lengths=torch.tensor([5])))
    torch.testing.assert_close(
        model(Inputs(ids=ids_BT, lengths=LENGTHS))[3:, :5], alone, atol=1e-5, rtol=1e-5
    )
    assert not model(Inputs(ids=ids_BT, lengths=LENGTHS))[3, 5:].any()


def test_padding_is_computed_where_it_is_asked_for_and_counting_changes_nothing() -> None:
    model, ids_BT = made("bert"), torch.randint(0, 100, (4, 9))
    rows = Inputs(ids=ids_BT, lengths=LENGTHS)
    outside = model(rows)
    with flops.counting() as without:
        assert torch.equal(model(rows), outside)
    with flops.counting() as padded:
        model(replace(rows, compute_padding=True))
    with flops.counting() as full:
        model(Inputs(ids=ids_BT))
    assert padded.operations == full.operations > without.operations > 0


def test_few_numbers_of_rows_occur() -> None:
    """oneDNN keeps code for each number of rows that it has met."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randint(1, 129, (32,), generator=generator) for _ in range(200)]
    met = {UnpaddedBatch.of(lengths, 128).place.shape[0] for lengths in drawn}
    assert all(count % cpu.step(count) == 0 for count in met)
    assert len(met) < 25


def test_a_product_is_given_a_number_of_rows_that_onednn_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[int] = []
    asked = cpu.onednn
    monkeypatch.setattr(cpu, "onednn", lambda x, *given: met.append(x[..., 0].numel()) or asked(x, *given))
    monkeypatch.setattr(cpu, "prefers_onednn", lambda: True)
    weight = torch.randn(6, 4)
    for rows in (*range(1, 200), 1030, 1040, 1088):
        x = torch.randn(rows, 4)
        torch.testing.assert_close(cpu.product(x, weight), x @ weight.t())
    filled = [-(-rows // 16) * 16 for rows in range(8, 200)]
    assert met == [*filled, 1088, 1088, 1088]  # fewer than 8 are left to the BLAS
