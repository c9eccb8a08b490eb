"""The operations of nlptool.models.kernels.cpu against torch's."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from nlptool.models.kernels import cpu
from nlptool.models.layers import Dropout, attend


def gradients(result: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    torch.manual_seed(99)
    return torch.autograd.grad(result, inputs, torch.randn(result.shape))


def assert_close(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], tolerance: float = 1e-5) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("shape", [(12,), (0, 12), (7, 12), (3, 5, 12)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_is_torchs_forward_and_backward(shape: tuple[int, ...], with_bias: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    weight = torch.randn(20, 12, requires_grad=True)
    bias = torch.randn(20, requires_grad=True) if with_bias else None
    inputs = (x, weight, bias) if bias is not None else (x, weight)
    ours, theirs = cpu.linear(x, weight, bias), F.linear(x, weight, bias)
    assert_close((ours, *gradients(ours, *inputs)), (theirs, *gradients(theirs, *inputs)))


def test_linear_reads_slices_and_transposed_inputs() -> None:
    torch.manual_seed(0)
    x = torch.randn(12, 7).t()
    weight = torch.randn(30, 12)[10:]
    assert_close((cpu.linear(x, weight, None),), (F.linear(x, weight),))


@pytest.mark.parametrize("tanh", [True, False])
@pytest.mark.parametrize("shape", [(0, 12), (7, 12), (3, 5, 12)])
def test_mlp_is_torchs_forward_and_backward(shape: tuple[int, ...], tanh: bool) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(s, requires_grad=True) for s in (shape, (20, 12), (20,), (12, 20), (12,))]
    x, up, up_bias, down, down_bias = inputs
    ours = cpu.mlp(*inputs, tanh)
    gelu = F.gelu(F.linear(x, up, up_bias), approximate="tanh" if tanh else "none")
    theirs = F.linear(gelu, down, down_bias)
    assert_close((ours, *gradients(ours, *inputs)), (theirs, *gradients(theirs, *inputs)))


def test_mlp_keeps_one_wide_tensor() -> None:
    inputs = [torch.randn(s, requires_grad=True) for s in ((9, 12), (50, 12), (50,), (12, 50), (12,))]
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        cpu.mlp(*inputs, False)
    assert [tuple(t.shape) for t in kept] == [(9, 12), (9, 50), (50, 12), (12, 50)]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.003])
def test_dropout_drops_at_its_exact_rate_and_scales_by_the_chance_to_stay(rate: float) -> None:
    torch.manual_seed(0)
    count = 4_000_000
    y = cpu.dropout(torch.ones(count), rate)
    exact = round(rate * 65536) / 65536
    assert abs(exact - rate) <= 2**-17
    dropped = (y == 0).sum().item()
    assert abs(dropped - count * exact) < 5 * math.sqrt(count * exact * (1 - exact))
    assert y.unique().tolist() == [0.0, pytest.approx(1 / (1 - exact))]
    assert y.mean().item() == pytest.approx(1, abs=5 * math.sqrt(exact / (1 - exact) / count))


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = cpu.dropout(torch.ones(2_000_000), 0.25) == 0
    for distance in (1, 2, 3, 4, 256):
        both = (dropped[distance:] & dropped[:-distance]).float().mean().item()
        assert both == pytest.approx(0.25**2, abs=0.001)


def test_dropout_is_the_same_forward_and_backward() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = cpu.dropout(x, 0.3)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], y.detach())


def test_the_seed_of_torch_fixes_dropout_and_each_call_draws_anew() -> None:
    x = torch.ones(1001)
    torch.manual_seed(5)
    first, second = cpu.dropout(x, 0.5), cpu.dropout(x, 0.5)
    torch.manual_seed(5)
    assert torch.equal(cpu.dropout(x, 0.5), first)
    assert not torch.equal(first, second)


def test_dropout_is_the_same_when_a_checkpoint_runs_it_again() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = checkpoint(lambda x: cpu.dropout(x, 0.3) * x, x, use_reentrant=False)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], 2 * y.detach())


def test_dropout_outside_training_changes_nothing() -> None:
    x = torch.ones(100)
    assert Dropout(0.5).eval()(x) is x
    assert (Dropout(0.5)(x) == 0).any()


def qkv(queries: int, keys: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries by themselves; keys and values side by side, as one matrix makes them."""
    torch.manual_seed(0)
    q = torch.randn(2, queries, 3, 8, requires_grad=True)
    k, v = torch.randn(2, keys, 2, 3, 8, requires_grad=True).unbind(2)
    return q, k, v


def reference(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, keep_HBTS: Tensor | float) -> Tensor:
    """Attention in the words of the paper."""
    scores = torch.einsum("bthe,bshe->hbts", q, k) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask.expand(2, 3, *scores.shape[2:]).transpose(0, 1), -torch.inf)
    return torch.einsum("hbts,bshe->bthe", scores.softmax(-1) * keep_HBTS, v)


PADDING = (torch.arange(6) < torch.tensor([[6], [2]]))[:, None, None, :]
PER_HEAD = torch.ones(2, 3, 6, 6, dtype=torch.bool).tril(2)


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("mask", [None, PADDING, PER_HEAD])
def test_attention_is_softmax_of_scores_with_dropout(mask: Tensor | None, rate: float) -> None:
    q, k, v = qkv(6, 6)
    torch.manual_seed(1)
    keep, scale = cpu.keep_mask((3, 2, 6, 6), rate)
    torch.manual_seed(1)
    ours = cpu.attention(q, k, v, mask, rate, causal=False)
    theirs = reference(q, k, v, mask, keep * scale)
    assert_close((ours, *gradients(ours, q, k, v)), (theirs, *gradients(theirs, q, k, v)))


def test_attention_of_some_queries_to_all_keys() -> None:
    q, k, v = qkv(2, 6)
    ours, theirs = cpu.attention(q, k, v, PADDING, 0.0, causal=False), reference(q, k, v, PADDING, 1.0)
    assert_close((ours, *gradients(ours, q, k, v)), (theirs, *gradients(theirs, q, k, v)))


@pytest.mark.parametrize("mask", [None, PADDING])
@pytest.mark.parametrize("queries_at_once", [1, 4, 6, 128])
def test_causal_attention_looks_at_nothing_later(
    queries_at_once: int, mask: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "QUERIES", queries_at_once)
    q, k, v = qkv(6, 6)
    ours = cpu.attention(q, k, v, mask, 0.0, causal=True)
    earlier = torch.ones(1, 1, 6, 6, dtype=torch.bool).tril()
    theirs = reference(q, k, v, earlier if mask is None else earlier & mask, 1.0)
    assert_close((ours, *gradients(ours, q, k, v)), (theirs, *gradients(theirs, q, k, v)))


def test_causal_attention_drops_out_in_each_block_and_keeps_no_later_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu, "QUERIES", 2)
    q, k, _ = (torch.zeros(1, 6, 1, 6, requires_grad=True) for _ in range(3))
    v = torch.eye(6)[None, :, None].requires_grad_()  # so that the output is the probabilities
    torch.manual_seed(0)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        p_TS = cpu.attention(q, k, v, None, 0.5, causal=True)[0, :, 0]
    assert [tuple(t.shape) for t in kept if t.dtype == torch.int8] == [
        (1, 1, 2, 2),
        (1, 1, 2, 4),
        (1, 1, 2, 6),
    ]
    expected_TS = torch.ones(6, 6).tril() / torch.arange(1, 7)[:, None] * 2
    assert (p_TS.isclose(expected_TS) | p_TS.eq(0)).all()
    assert 0 < (p_TS > 0).sum() < 21


def test_attention_without_dropout_is_torchs() -> None:
    q, k, v = qkv(6, 6)
    assert_close(
        (attend(q, k, v, PADDING, 0.0, False),), (cpu.attention(q, k, v, PADDING, 0.0, causal=False),)
    )


def test_other_numbers_are_left_to_torch() -> None:
    assert cpu.usable(torch.ones(1))
    assert not cpu.usable(torch.ones(1, dtype=torch.float64))
    assert not cpu.usable(torch.ones(1, device="meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not cpu.usable(torch.ones(1))


EXACT = pytest.mark.skipif(not cpu._bf16_setting_is_exact(), reason="the setting is not used on this CPU")


def precision() -> str:
    return torch.backends.mkldnn.matmul.fp32_precision


@EXACT
def test_products_by_onednn_keep_every_bit_of_float32() -> None:
    x, ones = torch.full((32, 64), 1 + 2**-15), torch.ones(32, 64)  # x is 1 in bfloat16
    with cpu.onednn_products():
        assert precision() == "bf16"
        sums = torch.zeros(32, 32).addmm_(x, ones.t())
        products = (x @ ones.t(), torch.bmm(x[None], ones.t()[None])[0], sums)
    for product in products:
        assert torch.equal(product, torch.full((32, 32), 64 + 2**-9))


@EXACT
def test_the_setting_is_as_before_behind_a_product_and_behind_an_error() -> None:
    before = precision()
    cpu.weight_gradient(torch.ones(8, 4), torch.ones(8, 3))
    assert precision() == before
    with pytest.raises(ZeroDivisionError), cpu.onednn_products():
        raise ZeroDivisionError
    assert precision() == before
    with cpu.onednn_products(False):
        assert precision() == before


def test_other_cpus_keep_their_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"Intel(R) Xeon(R)": False, "AMD EPYC": True, "AMD with AMX": False, "Neoverse-V2": False}
    for name, exact in known.items():
        facts = {"cpu_name": name, "amx_tile": "AMX" in name}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda facts=facts: facts)
        cpu._bf16_setting_is_exact.cache_clear()
        assert cpu._bf16_setting_is_exact() is (exact and cpu.has_onednn())
    cpu._bf16_setting_is_exact.cache_clear()


@EXACT
@pytest.mark.parametrize("causal", [False, True])
def test_attention_that_is_faster_than_flash_is_the_same(causal: bool) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 64, 2, 32, requires_grad=True).unbind()
    assert cpu.faster_than_flash(q, k)
    flash = F.scaled_dot_product_attention(
        *(x.transpose(1, 2) for x in (q, k, v)), is_causal=causal
    ).transpose(1, 2)
    ours = attend(q, k, v, None, 0.0, causal)
    assert type(ours.grad_fn) is not type(flash.grad_fn)
    assert_close((ours, *gradients(ours, q, k, v)), (flash, *gradients(flash, q, k, v)))


def test_flash_is_left_short_rows_long_rows_and_inference() -> None:
    for length in (
        32,
        60,
        144,
    ):  # too short; of a shape of its own; with more probabilities than activations of the MLP
        x = torch.randn(1, length, 2, 32)
        assert not cpu.faster_than_flash(x, x)
    with torch.no_grad():
        assert not cpu.faster_than_flash(torch.randn(1, 64, 2, 32), torch.randn(1, 64, 2, 32))
