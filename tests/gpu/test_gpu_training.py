"""Every objective on a GPU: the loss equals that on a CPU, in all precisions, compiled or not."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nlptool import registry
from nlptool.cli import main
from nlptool.data.batches import Batch
from nlptool.models.kernels import cross_entropy
from nlptool.models.kernels.cross_entropy import linear_cross_entropy
from nlptool.objectives.base import Objective
from nlptool.text.store import Split
from nlptool.train.config import Optimizer
from nlptool.train.optim import Adam

GPU = torch.device("cuda")
CASES = [(name, variant) for name in registry.objectives("tokens") for variant in tiny.facts(name).VARIANTS]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case[0], *case[1]]))
def case(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param


def cost(objective: nn.Module, batch: Batch, weights: dict[str, float]) -> tuple[dict[str, Tensor], Tensor]:
    """Sums, and the length of the gradient."""
    objective.zero_grad()
    sums = objective(batch)
    sum(weights[term] * sums[term] / batch.counts[term] for term in weights).backward()
    found = [p.grad for p in objective.parameters() if p.grad is not None]
    return {term: value.detach().cpu() for term, value in sums.items()}, torch.nn.utils.get_total_norm(found)


def on_both(case: tuple[str, dict[str, Any]], split: Split) -> tuple[Objective, Objective, list[Batch]]:
    """An objective on a CPU and on the GPU, and some batches."""
    here, there = tiny.build(*case), tiny.build(*case).to(GPU)
    source = tiny.batches(here, split)
    return here, there, [source.get(n)[0] for n in range(4)]


def test_an_objective_costs_the_same(case, split: Split):
    here, there, batches = on_both(case, split)
    for batch in batches:
        sums, norm = cost(here, batch, here.weights)
        found, length = cost(there, batch.pinned().to(GPU), here.weights)
        for term in sums:
            assert found[term].item() == pytest.approx(sums[term].item(), rel=1e-4), term
        assert length.item() == pytest.approx(norm.item(), rel=1e-3)


def test_in_bf16_it_costs_nearly_the_same(case, split: Split):
    here, there, batches = on_both(case, split)
    for batch in batches:
        sums, norm = cost(here, batch, here.weights)
        with torch.autocast("cuda", torch.bfloat16):
            found, length = cost(there, batch.to(GPU), here.weights)
        for term in sums:
            assert found[term].dtype == torch.float32
            assert found[term].item() == pytest.approx(sums[term].item(), rel=0.03), term
        assert length.item() == pytest.approx(norm.item(), rel=0.1)


@pytest.mark.parametrize("name", registry.objectives("tokens"))
def test_compiled_in_bf16_it_costs_the_same_and_is_compiled_once(name: str, split: Split):
    here, there, batches = on_both((name, tiny.facts(name).VARIANTS[0]), split)
    torch._dynamo.reset()
    compiled = torch.compile(there, dynamic=False)
    for number, batch in enumerate(batches):
        sums, norm = cost(here, batch, here.weights)
        with (
            torch._dynamo.config.patch(error_on_recompile=number > 0),
            torch.autocast("cuda", torch.bfloat16),
        ):
            found, length = cost(compiled, batch.to(GPU), here.weights)
        for term in sums:
            assert found[term].item() == pytest.approx(sums[term].item(), rel=0.03), term
        assert length.item() == pytest.approx(norm.item(), rel=0.1)


@pytest.mark.parametrize("rows_at_once", [7, 64])
def test_chunks_change_no_loss(monkeypatch, rows_at_once: int):
    torch.manual_seed(0)
    x, weight, labels = torch.randn(64, 32), torch.randn(500, 32), torch.randint(0, 500, (64,))
    monkeypatch.setattr(cross_entropy, "ON_GPU", rows_at_once * 500)
    expected = linear_cross_entropy(x, weight, None, labels)
    found = linear_cross_entropy(x.to(GPU), weight.to(GPU), None, labels.to(GPU))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_a_step_is_that_of_a_cpu_and_a_flag_skips_it(name: str):
    torch.manual_seed(0)
    here = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
    there = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)).to(GPU)
    there.load_state_dict(here.state_dict())
    updates = [Adam(module, Optimizer(name=name)) for module in (here, there)]
    for skips in (False, True, False):
        for module, adam in zip((here, there), updates, strict=True):
            device = next(module.parameters()).device
            for number, p in enumerate(module.parameters()):
                p.grad = torch.linspace(-1, 1 + number, p.numel()).view(p.shape).to(device)
            flag = torch.tensor(skips, device=device)
            adam.step(0.1, torch.tensor(2.0, device=device), flag)
    for a, b in zip(here.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=1e-5, atol=1e-6)


@pytest.fixture
def recipe(tiny_store: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"store: {tiny_store}\n"
        "model: {name: bert, layers: 2, hidden: 64, heads: 2, max_positions: 64}\n"
        "objective: {name: mlm}\n"
        "train: {steps: 12, batch_size: 8, sequence_length: 32, lr: 1e-3, warmup: 2, precision: bf16, compile: true}\n"
        "evaluate: {every: 6, batches: 2}\nsave: {every: 4, keep_last: 2}\nseed: 7\n"
        f"out: {tmp_path / 'run'}\n"
    )
    return path


def held_out(run: Path) -> float:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["heldout/mlm"] for line in lines if "heldout/mlm" in line][-1]


def test_a_run_in_bf16_and_compiled_goes_on_where_it_stopped(recipe: Path, tmp_path: Path):
    assert main(["pretrain-mlm", str(recipe)]) == 0
    straight = held_out(tmp_path / "run")
    parts = ["pretrain-mlm", str(recipe), "--out", str(tmp_path / "parts")]
    assert main([*parts, "train.steps=4"]) == 0
    assert main([*parts, "--resume", "auto"]) == 0
    # The schedule of the first part was another; what is checked is that the state comes back to the GPU whole.
    assert held_out(tmp_path / "parts") == pytest.approx(straight, rel=0.05)
    facts = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert facts["device"] == torch.cuda.get_device_name()
    weights = load_file(tmp_path / "run" / "final" / "model.safetensors")
    assert all(t.dtype == torch.float32 and t.isfinite().all() for t in weights.values())


def test_a_loss_that_is_not_finite_stops_the_run_and_harms_no_weight(recipe: Path, tmp_path: Path, capsys):
    settings = [
        "train.lr=1e30",
        "train.warmup=0",
        "train.max_grad_norm=1e30",
        "train.steps=60",
        "train.compile=false",
    ]
    assert main(["pretrain-mlm", str(recipe), *settings]) == 4
    assert "last good checkpoint" in capsys.readouterr().err
