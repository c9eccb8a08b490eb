"""The heavy half of `plan`: a recipe and its store put together, counted, and compared with this machine."""

from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

from nlptool.commands.plan.benchmark import Probe, probe
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.formatting import agreeing, counted, duration, quantity, significant
from nlptool.runs.machine import DeviceInfo, device_info
from nlptool.train.estimate import Estimate

PASSES = 3  # a held-out batch is one of a step's three passes


@dataclass(frozen=True)
class MemoryFit:
    """Whether a run fits, by the estimate."""

    needed: int
    """Bytes of the stage that takes most, with what is taken."""
    fits: bool
    micro_batch: int | None
    """The most sequences of the longest stage that fit at once; None where not one does."""
    accumulate: int | None
    """The least train.accumulate that makes all micro-batches fit, if any does."""


def run(recipe: Recipe, *, probe: bool, as_json: bool, console: Console) -> None:
    """Show what the run would take. Raises DataError when store and recipe do not go together."""
    machine = device_info(Path(recipe.out))
    plan = PretrainSetup(recipe)
    probes = _probed(plan, console) if probe else None
    facts = figures(plan, recipe.command, machine, probes)
    if as_json:
        console.json(facts)
    else:
        console.table(("", "", "in detail"), rows(plan, facts), title=f"{recipe.command}: {recipe.out}")


def _probed(plan: PretrainSetup, console: Console) -> list[Probe] | None:
    try:
        return probe(plan, console)
    except UsageError as error:  # a recipe for another machine can be planned on this one
        console.note(f"no time is known: {error.message}")
        return None


def figures(
    plan: PretrainSetup, command: str, machine: DeviceInfo, probes: list[Probe] | None
) -> dict[str, Any]:
    """All that is known of the run before it is made."""
    estimates = [plan.estimate_of(stage) for stage, _ in plan.stages]
    most = max(estimates, key=lambda estimate: estimate.memory)
    seconds = _seconds(plan, probes)
    steps = plan.steps if plan.seconds is None else None
    if steps is None and probes is not None and plan.seconds is not None:
        steps = max(1, int(plan.seconds / probes[0].seconds))  # a budget of time has one stage
    tokens = None if steps is None else steps * plan.tokens_per_step
    return {
        "command": command,
        "parameters": {"total": most.parameters, "parts": most.parts},
        "flops_per_token": plan.flops_per_step / plan.tokens_per_step,
        "flops": None if steps is None else steps * plan.flops_per_step,
        "steps": steps,
        "tokens": tokens,
        "epochs": None if steps is None else steps * plan.epochs_per_step,
        "tokens_per_epoch": plan.tokens_per_step / plan.epochs_per_step,
        "memory": {
            "weights": most.weights,
            "gradients": most.gradients,
            "optimizer": most.optimizer,
            "activations": most.activations,
            "logits": most.logits,
            "total": most.memory,
            "micro_batch": most.rows,
        },
        "machine": asdict(machine),
        "fit": asdict(fit(plan, estimates, machine)),
        "disk": disk(plan, most, steps),
        "probes": None if probes is None else [_compared(plan, index, p) for index, p in enumerate(probes)],
        "seconds": seconds,
    }


def fit(plan: PretrainSetup, estimates: list[Estimate], machine: DeviceInfo) -> MemoryFit:
    """Compare the estimates, one a stage, with the memory of the machine; activations grow with the rows."""
    room = [machine.memory - machine.taken - e.fixed for e in estimates]
    limits = [left * e.rows // max(e.activations, 1) for left, e in zip(room, estimates, strict=True)]
    batches = [stage.batch for stage, _ in plan.stages]
    longest = max(range(len(batches)), key=lambda index: plan.stages[index][0].length)
    chosen = next(
        (
            n
            for n in range(1, max(batches) + 1)
            if all(b % n == 0 and b // n <= limit for b, limit in zip(batches, limits, strict=True))
        ),
        None,
    )
    needed = machine.taken + max(estimate.memory for estimate in estimates)
    return MemoryFit(needed, needed <= machine.memory, max(limits[longest], 0) or None, chosen)


def disk(plan: PretrainSetup, estimate: Estimate, steps: int | None) -> dict[str, int]:
    """Bytes of what is kept: the newest checkpoints and the best one, the final model, the store."""
    save = plan.recipe.save
    kept = save.keep + 1 if steps is None else min(save.keep + 1, ceil(steps / save.every))
    checkpoint = estimate.weights + estimate.optimizer
    final = sum(
        tensor.numel() * tensor.element_size()
        for made in plan.shape.folders(plan.model).values()
        for tensor in made.state.values()
    )
    store = sum(path.stat().st_size for path in plan.store.path.rglob("*") if path.is_file())
    return {
        "checkpoint": checkpoint,
        "checkpoints": kept,
        "final": final,
        "store": store,
        "total": kept * checkpoint + final + store,
    }


def _seconds(plan: PretrainSetup, probes: list[Probe] | None) -> dict[str, float] | None:
    """Of the run's steps and evaluations; not of checkpoints, whose time is the disk's."""
    if plan.seconds is not None:
        return {"training": plan.seconds, "evaluation": 0.0, "total": plan.seconds}
    if probes is None:
        return None
    steps = sum(plan.steps * s.share * p.seconds for (s, _), p in zip(plan.stages, probes, strict=True))
    recipe = plan.recipe
    every = {n for e in (recipe.evaluate.every, recipe.save.every) for n in range(e, plan.steps + 1, e)}
    times = len(every | {plan.steps}) if len(plan.store.split("heldout")) else 0
    evaluation = times * recipe.evaluate.batches * probes[0].seconds / PASSES
    return {"training": steps, "evaluation": evaluation, "total": steps + evaluation}


def _compared(plan: PretrainSetup, index: int, found: Probe) -> dict[str, Any]:
    """A probe, and what the estimate says of its memory."""
    stage, _ = plan.stages[index]
    estimated = plan.estimate_of(stage, found.micro_batch).memory
    return {"length": stage.length, **asdict(found), "estimated_memory": estimated}


def rows(plan: PretrainSetup, facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The figures as a person reads them: what, how much, in detail."""
    parts = ", ".join(f"{name} {size:,}" for name, size in facts["parameters"]["parts"].items())
    memory, fitting, machine, kept = facts["memory"], facts["fit"], facts["machine"], facts["disk"]
    kinds = ("weights", "gradients", "optimizer", "activations", "logits")
    told = ", ".join(f"{kind} {quantity(memory[kind], 'B')}" for kind in kinds)
    lines = [("parameters", f"{facts['parameters']['total']:,}", parts)]
    if facts["steps"] is not None:
        stages = ", ".join(
            f"{facts['steps'] * s.share:,.0f} of {s.batch:,} x {s.length:,} tokens" for s, _ in plan.stages
        )
        lines += [
            ("steps", f"{facts['steps']:,}", stages),
            (
                "tokens",
                f"{facts['tokens']:,.0f}",
                f"{agreeing(_epochs(facts['epochs']), 'epochs')} of {facts['tokens_per_epoch']:,.0f}",
            ),
            (
                "FLOPs",
                significant(facts["flops"]),
                f"{significant(facts['flops_per_token'])} a token, forward and backward",
            ),
        ]
    lines += [
        (
            "memory",
            quantity(memory["total"], "B"),
            f"{told}; micro-batches of {counted(memory['micro_batch'], 'sequences')}",
        ),
        (
            "machine",
            quantity(machine["memory"], "B"),
            f"{machine['name']}; {_verdict(plan, fitting, machine)}",
        ),
        (
            "disk",
            quantity(kept["total"], "B"),
            f"{counted(kept['checkpoints'], 'checkpoints')} of {quantity(kept['checkpoint'], 'B')}, final "
            f"{quantity(kept['final'], 'B')}, store {quantity(kept['store'], 'B')}; "
            f"{quantity(machine['disk'], 'B')} free",
        ),
    ]
    for found in facts["probes"] or ():
        lines.append(_probe_line(plan, facts, found))
    if facts["seconds"] is not None:
        evaluation = duration(facts["seconds"]["evaluation"])
        lines.append(
            (
                "time",
                duration(facts["seconds"]["total"]),
                f"of which {evaluation} evaluation; writing checkpoints not counted",
            )
        )
    return lines


def _verdict(plan: PretrainSetup, fitting: dict[str, Any], machine: dict[str, Any]) -> str:
    """Whether it fits, and with which micro-batch it does."""
    taken = f" with {quantity(machine['taken'], 'B')} for Python and torch" if machine["taken"] else ""
    if fitting["micro_batch"] is None:
        return f"does not fit{taken}, not even one sequence at a time"
    length = max(stage.length for stage, _ in plan.stages)
    room = f"up to {counted(fitting['micro_batch'], 'sequences')} of {length:,} tokens at once"
    if fitting["fits"]:
        return f"fits{taken}; {room}"
    remedy = f": train.accumulate={fitting['accumulate']}" if fitting["accumulate"] else ""
    return f"does not fit{taken}; {room}{remedy}"


def _probe_line(plan: PretrainSetup, facts: dict[str, Any], found: dict[str, Any]) -> tuple[str, str, str]:
    rate = found["tokens_per_second"]
    told = f"{rate:,.0f} tokens/s, {quantity(rate * facts['flops_per_token'], 'FLOP/s')}"
    told += f"; {counted(found['steps'], 'steps')} of {found['rows']:,} x {found['length']:,} tokens took "
    told += f"{quantity(found['memory'], 'B')} of memory, {quantity(found['estimated_memory'], 'B')} by the estimate"
    return "a step", _short(found["seconds"]), told


def _epochs(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else significant(number)


def _short(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else f"{seconds:.3g} s"
