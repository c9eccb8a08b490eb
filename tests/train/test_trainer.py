import os
import signal

import pytest
import torch
from toy import ALONE, Source, Toy, make

from nlptool.errors import Preempted
from nlptool.train.config import PretrainConfig
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler
from nlptool.train.trainer import State, Step, held_out, seed_dropout, train

CONFIG = PretrainConfig(steps=12, lr=0.01, warmup=2)


def take(state: State, source: Source, until: int, config: PretrainConfig = CONFIG) -> list[Step]:
    """The steps up to number `until` of a run of 12."""
    taken = []
    with SignalHandler(alone=True) as interrupts:
        for step in train(
            state, state.module, source, config, steps=12, seed=3, world=ALONE, interrupts=interrupts
        ):
            taken.append(step)
            if step.number == until:
                break
    return taken


def weights(state: State) -> list[torch.Tensor]:
    return [p.detach().clone() for p in state.module.parameters()]


@pytest.mark.parametrize("pieces", [2, 4, 8])
def test_the_result_does_not_depend_on_accumulation(pieces: int):
    whole, cut = make(dtype=torch.float64), make(dtype=torch.float64)
    take(whole, Source(1, torch.float64), 12)
    take(cut, Source(pieces, torch.float64), 12)
    for a, b in zip(weights(whole), weights(cut), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_a_run_clips_as_its_recipe_says_and_shows_the_norm_of_all_gradients_either_way():
    runs = {scope: make() for scope in ("global", "tensor")}
    norms = {}
    for scope, state in runs.items():
        (first,) = take(
            state, Source(), 1, CONFIG.model_copy(update={"max_grad_norm": 1e-3, "clip_scope": scope})
        )
        norms[scope] = first.grad_norm.item()
        kept = torch.stack([g.norm() for g in state.optimizer.gradients()])
        clipped = kept.norm() if scope == "global" else kept.max()
        assert clipped.item() == pytest.approx(1e-3, rel=1e-2)
    assert norms["global"] == pytest.approx(norms["tensor"])
    assert norms["global"] > 1e-3
    assert any(not torch.equal(a, b) for a, b in zip(*map(weights, runs.values()), strict=True))


def test_each_term_is_divided_by_its_own_count():
    state = make(dtype=torch.float64)
    batch = Source(1, torch.float64).get(0)[0]
    fit, sign = state.module(batch).values()
    (fit / 8 + 0.5 * sign / 3).backward()
    expected = torch.cat([p.grad.flatten() for p in state.module.parameters()]).norm()
    (step,) = take(make(dtype=torch.float64), Source(1, torch.float64), 1)
    assert step.grad_norm.item() == pytest.approx(expected.item(), rel=1e-12)
    assert step.counts == {"fit": 8, "sign": 3}


def test_a_run_cut_in_two_ends_with_the_same_bits():
    straight, halves = make(dropout=0.3), make(dropout=0.3)
    take(straight, Source(), 12)
    take(halves, Source(), 5)
    resumed = make(dropout=0.3)
    resumed.module.load_state_dict(halves.module.state_dict())
    resumed.optimizer.load_state_dict(halves.optimizer.state_dict())
    resumed.step = halves.step
    torch.manual_seed(12345)  # whatever happened in between
    take(resumed, Source(), 12)
    assert all(torch.equal(a, b) for a, b in zip(weights(straight), weights(resumed), strict=True))


@pytest.mark.parametrize("seed", [0, 3, 2**63 + 5, 2**64 - 1])
def test_a_seed_of_dropout_has_the_bits_of_the_one_of_torch(seed: int):
    torch.manual_seed(seed)
    expected = torch.get_rng_state()
    torch.rand(5)
    seed_dropout(seed, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), expected)


def test_dropout_differs_from_step_to_step():
    state = make(dropout=0.5)
    config = PretrainConfig(steps=12, lr=1e-30)  # weights stand still, so only dropout can change the loss
    source = Source()
    source.get = lambda n: Source().get(0)
    losses = [step.sums["fit"].item() for step in take(state, source, 4, config)]
    assert len(set(losses)) == 4


def test_a_step_that_is_not_finite_leaves_the_weights():
    state = make()
    steps = take(state, Source(bad=3), 3)
    before = weights(state)
    (bad,) = take(state, Source(bad=3), 4)
    assert all(step.grad_norm.isfinite() for step in steps)
    assert not bad.grad_norm.isfinite()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(state), strict=True))


def test_a_signal_in_the_middle_of_a_step_leaves_the_step_before():
    class Signalled(Toy):
        def forward(self, batch):
            sums = super().forward(batch)
            if self.training and len(losses) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            losses.append(1)
            return sums

    losses: list[int] = []
    state = make()
    signalled = State(Signalled(), state.optimizer)
    signalled.module.load_state_dict(state.module.state_dict())
    signalled.optimizer = type(state.optimizer)(signalled.module, state.optimizer.config)
    with pytest.raises(Preempted):
        take(signalled, Source(), 12)
    assert signalled.step == 3
    take(state, Source(), 3)
    assert all(torch.equal(a, b) for a, b in zip(weights(state), weights(signalled), strict=True))


def test_a_time_budget_ends_the_run():
    state = make()
    with SignalHandler(alone=True) as interrupts:
        taken = list(
            train(
                state,
                state.module,
                Source(),
                CONFIG,
                steps=1 << 62,
                seed=3,
                world=ALONE,
                interrupts=interrupts,
                seconds=0.3,
            )
        )
    assert 1 < len(taken) < 100_000
    assert 0.3 <= state.elapsed < 3
    assert taken[-1].lr < taken[len(taken) // 2].lr


def test_held_out_figures_are_means_over_all_batches():
    state = make(dropout=0.9)
    with SignalHandler(alone=True) as interrupts:
        figures = held_out(state, state.module, Source(pieces=4), 3, CONFIG, ALONE, interrupts)
    state.module.eval()
    batches = [Source().get(n)[0] for n in range(3)]
    expected = sum(state.module(batch)["fit"].item() for batch in batches) / 24
    assert figures["fit"] == pytest.approx(expected)


class OneOfSix(DistributedContext):
    """A rank of six that are all alike, without the other processes."""

    def sum(self, values: list[float]) -> list[float]:
        return [value * 6 for value in values]

    def from_rank0(self, value: float) -> float:
        return value

    def wrap(self, module: torch.nn.Module) -> torch.nn.Module:
        return module


def test_a_time_budget_that_is_over_ends_the_run_whatever_six_sixths_are():
    assert sum([1 / 6] * 6) < 1
    state = make()
    state.elapsed = 1.0
    with SignalHandler(alone=True) as interrupts:
        world = OneOfSix(0, 6, torch.device("cpu"))
        given = {"steps": 12, "seed": 3, "world": world, "interrupts": interrupts, "seconds": 0.5}
        assert len(list(train(state, state.module, Source(), CONFIG, **given))) == 1
