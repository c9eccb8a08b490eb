import pytest
import torch
from torch import nn

from nlptool.train.config import Optimizer
from nlptool.train.optim import Adam

RULES = ("adamw", "lamb")
ONE, NEVER = torch.tensor(1.0), torch.tensor(0.0)


def rule(name: str) -> Optimizer:
    return Optimizer.model_validate({"name": name})


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3))


def backward(module: nn.Module, step: int) -> None:
    torch.manual_seed(100 + step)
    module(torch.randn(7, 5)).square().sum().backward()


def test_equals_torch_with_decay_on_matrices_only():
    ours, theirs = model(), model()
    matrices = [p for p in theirs.parameters() if p.ndim > 1]
    vectors = [p for p in theirs.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.98), eps=1e-6)
    optimizer = Adam(ours, Optimizer(betas=(0.9, 0.98), weight_decay=0.1))
    for step in range(5):
        optimizer.zero_grad()
        reference.zero_grad()
        backward(ours, step)
        backward(theirs, step)
        optimizer.step(3e-3, ONE, NEVER)
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


def test_without_bias_correction_is_googles_update():
    module = model()
    weight = next(module.parameters())
    optimizer = Adam(module, Optimizer(bias_correction=False, weight_decay=0.01))
    w, m, v = weight.detach().clone(), torch.zeros_like(weight), torch.zeros_like(weight)
    for step in range(3):
        optimizer.zero_grad()
        backward(module, step)
        g = weight.grad.clone()
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - 1e-3 * (m / (v.sqrt() + 1e-6) + 0.01 * w)
        optimizer.step(1e-3, ONE, NEVER)
    torch.testing.assert_close(weight.detach(), w, rtol=1e-5, atol=1e-7)


def test_scale_divides_the_gradient_as_clipping_does():
    clipped, scaled = model(), model()
    one, other = Adam(clipped, Optimizer()), Adam(scaled, Optimizer())
    backward(clipped, 0)
    backward(scaled, 0)
    norm = torch.nn.utils.clip_grad_norm_(clipped.parameters(), 0.5)
    one.step(1e-2, ONE, NEVER)
    other.step(1e-2, (norm / 0.5).clamp(min=1.0), NEVER)
    for a, b in zip(clipped.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


class Attending(nn.Module):
    """Queries, keys and values in one tensor, as the encoders have them, and a matrix after."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention, self.out = nn.ModuleDict({"qkv": nn.Linear(4, 12)}), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.attention["qkv"](x))


def parts(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters as published codes have them: queries, keys and values apart."""
    named = {}
    for name, p in module.named_parameters():
        thirds = p.detach().chunk(3) if "qkv" in name else (p.detach(),)
        named |= {f"{name}.{number}": third for number, third in enumerate(thirds)}
    return named


def test_clipping_each_tensor_is_bert_adams_update_by_hand():
    module = Attending()
    optimizer = Adam(module, Optimizer(bias_correction=False, weight_decay=0.01))
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    reference = {name: p.clone() for name, p in parts(module).items()}
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in reference.items()}
    for _ in range(3):
        optimizer.zero_grad()
        (50 * module(x).square().sum()).backward()
        gradients = {}
        for name, p in module.named_parameters():
            thirds = p.grad.clone().chunk(3) if "qkv" in name else (p.grad.clone(),)
            gradients |= {f"{name}.{number}": third for number, third in enumerate(thirds)}
        whole = torch.stack([g.norm() for g in gradients.values()]).norm()
        for name, gradient in gradients.items():
            w, (m, v) = reference[name], moments[name]
            g = gradient * min(1.0, 0.25 / (gradient.norm().item() + 1e-6))  # clip_grad_norm_ of it alone
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            moments[name] = m, v
            decay = 0.01 * w if w.ndim > 1 else 0.0
            reference[name] = w - 1e-2 * (m / (v.sqrt() + 1e-6) + decay)
        norm, excess = optimizer.clip(0.25, "tensor")
        assert norm.item() == pytest.approx(whole.item(), rel=1e-5)
        assert excess.item() == 1
        optimizer.step(1e-2, excess, NEVER)
    for name, p in parts(module).items():
        torch.testing.assert_close(p, reference[name], rtol=1e-5, atol=1e-6)


def test_small_gradients_are_clipped_in_neither_way():
    for scope in ("global", "tensor"):
        module = model()
        optimizer = Adam(module, Optimizer())
        backward(module, 0)
        before = [g.clone() for g in optimizer.gradients()]
        _, excess = optimizer.clip(1e6, scope)
        assert excess.item() == 1
        assert all(torch.equal(a, b) for a, b in zip(before, optimizer.gradients(), strict=True))


def test_lamb_scales_queries_keys_and_values_each_by_itself():
    module = Attending()
    optimizer = Adam(module, Optimizer(name="lamb", bias_correction=False))
    module(torch.randn(6, 4)).square().sum().backward()
    for number, third in enumerate(module.attention["qkv"].weight.grad.chunk(3)):
        third.mul_(10.0 ** (3 * number))
    before = {name: p.clone() for name, p in parts(module).items()}
    optimizer.step(1e-2, ONE, NEVER)
    for name, p in parts(module).items():
        if p.ndim > 1:
            assert ((p - before[name]).norm() / before[name].norm()).item() == pytest.approx(1e-2, rel=1e-3)


@pytest.mark.parametrize("bias_correction", [False, True])
def test_lamb_is_the_update_of_its_paper_or_of_alberts_code(bias_correction: bool):
    module = model()
    with torch.no_grad():
        module[2].weight.zero_()  # no length: its ratio is 1
    settings = Optimizer(name="lamb", bias_correction=bias_correction, weight_decay=0.01)
    optimizer = Adam(module, settings)
    reference = {name: p.detach().clone() for name, p in module.named_parameters()}
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in reference.items()}
    for step in range(4):
        optimizer.zero_grad()
        backward(module, step)
        for name, p in module.named_parameters():
            w, g, (m, v) = reference[name], p.grad / 2, moments[name]
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            moments[name] = m, v
            corrections = (1 - 0.9 ** (step + 1), 1 - 0.999 ** (step + 1)) if bias_correction else (1, 1)
            u = m / corrections[0] / ((v / corrections[1]).sqrt() + 1e-6)
            ratio = 1.0
            if p.ndim > 1:
                u = u + 0.01 * w
                ratio = (w.norm() / u.norm()).item() if w.norm() > 0 and u.norm() > 0 else 1.0
            reference[name] = w - 1e-2 * ratio * u
        optimizer.step(1e-2, torch.tensor(2.0), NEVER)
    for name, p in module.named_parameters():
        torch.testing.assert_close(p.detach(), reference[name], rtol=1e-5, atol=1e-6)


def test_a_step_of_lamb_is_a_share_of_each_matrix_whatever_its_gradient():
    module = model()
    optimizer = Adam(module, Optimizer(name="lamb", bias_correction=False))
    backward(module, 0)
    module[0].weight.grad *= 1e4
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    optimizer.step(1e-2, ONE, NEVER)
    for name, p in module.named_parameters():
        if p.ndim > 1:
            assert ((p - before[name]).norm() / before[name].norm()).item() == pytest.approx(1e-2, rel=1e-4)


@pytest.mark.parametrize("name", RULES)
def test_a_skipped_step_changes_nothing(name: str):
    module = model()
    optimizer = Adam(module, rule(name))
    backward(module, 0)
    optimizer.step(1e-2, ONE, NEVER)
    before = {name: t.clone() for name, t in (optimizer.state_dict() | module.state_dict()).items()}
    for p in module.parameters():
        p.grad.fill_(float("nan"))
    optimizer.step(1e-2, torch.tensor(float("nan")), torch.tensor(1.0))
    for name, tensor in (optimizer.state_dict() | module.state_dict()).items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("name", RULES)
def test_a_saved_state_goes_on_to_the_same_bits(name: str):
    straight, resumed = model(), model(1)
    first = Adam(straight, rule(name))
    for step in range(2):
        first.zero_grad()
        backward(straight, step)
        first.step(1e-2, ONE, NEVER)
    second = Adam(resumed, rule(name))
    resumed.load_state_dict(straight.state_dict())
    second.load_state_dict({name: t.clone() for name, t in first.state_dict().items()})
    for module, optimizer in ((straight, first), (resumed, second)):
        optimizer.zero_grad()
        backward(module, 2)
        optimizer.step(1e-2, ONE, NEVER)
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_missing_moment_is_an_error():
    optimizer = Adam(model(), Optimizer())
    state = optimizer.state_dict()
    del state["first.0.weight"]
    with pytest.raises(KeyError, match=r"first\.0\.weight"):
        optimizer.load_state_dict(state)


def test_a_share_of_the_rate_is_a_smaller_rate():
    whole, shared, slow = model(), model(), model()
    decays = Optimizer(weight_decay=0.1)
    steps = (
        (whole, Adam(whole, decays), 1e-2),
        (shared, Adam(shared, decays, {"0.weight": 0.25, "0.bias": 0.25}), 1e-2),
        (slow, Adam(slow, decays), 0.25e-2),
    )
    for step in range(3):
        for module, optimizer, lr in steps:
            torch.manual_seed(step)
            for p in module.parameters():
                p.grad = torch.randn_like(p)
            optimizer.step(lr, ONE, NEVER)
    for name, p in shared.named_parameters():
        other = (slow if name in ("0.weight", "0.bias") else whole).get_parameter(name)
        assert torch.equal(p, other), name
    assert not torch.equal(whole[0].weight, slow[0].weight)
