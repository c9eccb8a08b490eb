"""The plan of a pretraining run: counted from recipe and store, compared with this machine, timed by some steps."""

from dataclasses import asdict
from math import ceil
from typing import Any

from nlptool.commands.pretrain import needs
from nlptool.commands.pretrain.run import training_job
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.console import Console
from nlptool.data.batches import Stage
from nlptool.formatting import agreeing, counted, duration, percent, quantity, significant
from nlptool.runs.benchmark import STEPS, Probe, stage_probe
from nlptool.runs.machine import DeviceInfo, device_info
from nlptool.train.estimate import Estimate, memory_fit

PASSES = 3  # a held-out batch costs one of a step's three passes


def show(setup: PretrainSetup, command: str, *, probe: bool, as_json: bool, console: Console) -> None:
    """Show what the run would take. Raises DataError when store and recipe do not match."""
    machine = device_info(setup.out)
    probes = _probed(setup, machine, console) if probe else None
    facts = figures(setup, command, machine, probes)
    if as_json:
        console.json(facts)
    else:
        console.table(("", "", "in detail"), rows(setup, facts), title=f"{command}: {setup.out}")


def _probed(setup: PretrainSetup, machine: DeviceInfo, console: Console) -> list[Probe] | None:
    """Time some steps of each stage; None if this machine cannot run the recipe, which may be for another one."""
    least = setup.estimate.weights + setup.estimate.gradients + setup.estimate.optimizer
    if least > machine.memory:
        needed, there = quantity(least, "B"), quantity(machine.memory, "B")
        console.note(f"no time estimate: weights, gradients and moments alone take {needed} of {there}")
        return None
    probe = stage_probe(setup.train, setup.seed, lambda world: training_job(setup, world), console)
    if probe is None:
        return None
    found = []
    for stage, examples in setup.stages:
        console.note(f"timing up to {STEPS} steps of {stage.batch_size:,} x {stage.sequence_length:,} tokens")
        found.append(probe.probe(Stage(0, stage.batch_size, examples)))
    return found


def figures(
    setup: PretrainSetup, command: str, machine: DeviceInfo, probes: list[Probe] | None
) -> dict[str, Any]:
    """All figures of the run that are known in advance."""
    estimates = [setup.estimate_of(stage) for stage, _ in setup.stages]
    most = max(estimates, key=lambda estimate: estimate.memory)
    seconds = _seconds(setup, probes)
    steps = setup.steps if setup.seconds is None else None
    if steps is None and probes is not None and setup.seconds is not None:
        steps = max(1, int(setup.seconds / probes[0].seconds))  # a budget of time has one stage
    tokens = None if steps is None else steps * setup.tokens_per_step
    return {
        "command": command,
        "parameters": {"total": most.parameters, "parts": most.parts},
        "flops_per_token": setup.flops_per_step / setup.tokens_per_step,
        "flops": None if steps is None else steps * setup.flops_per_step,
        "steps": steps,
        "tokens": tokens,
        "epochs": None if steps is None else steps * setup.epochs_per_step,
        "tokens_per_epoch": setup.tokens_per_step / setup.epochs_per_step,
        "stores": []
        if steps is None
        else [one._asdict() for one in setup.stores.shares(steps, setup.stages)],
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
        "fit": asdict(
            memory_fit([stage for stage, _ in setup.stages], estimates, machine.memory, machine.taken)
        ),
        "disk": disk(setup, most, steps),
        "probes": None if probes is None else [_compared(setup, index, p) for index, p in enumerate(probes)],
        "seconds": seconds,
    }


def disk(setup: PretrainSetup, estimate: Estimate, steps: int | None) -> dict[str, int]:
    """Bytes on disk: the newest checkpoints and the best one, the final model, the store."""
    save = setup.save
    kept = save.keep_last + 1 if steps is None else min(save.keep_last + 1, ceil(steps / save.every))
    checkpoint = estimate.weights + estimate.optimizer
    final = needs.final_bytes(setup)
    store = setup.stores.bytes
    return {
        "checkpoint": checkpoint,
        "checkpoints": kept,
        "final": final,
        "store": store,
        "total": kept * checkpoint + final + store,
    }


def _seconds(setup: PretrainSetup, probes: list[Probe] | None) -> dict[str, float] | None:
    """Seconds of the run's steps and evaluations, without checkpoints, whose time depends on the disk."""
    if setup.seconds is not None:
        return {"training": setup.seconds, "evaluation": 0.0, "total": setup.seconds}
    if probes is None:
        return None
    steps = sum(setup.steps * s.share * p.seconds for (s, _), p in zip(setup.stages, probes, strict=True))
    every = {n for e in (setup.evaluate.every, setup.save.every) for n in range(e, setup.steps + 1, e)}
    times = len(every | {setup.steps}) if setup.stores.has_held_out else 0
    evaluation = times * setup.evaluate.batches * probes[0].seconds / PASSES
    return {"training": steps, "evaluation": evaluation, "total": steps + evaluation}


def _compared(setup: PretrainSetup, index: int, found: Probe) -> dict[str, Any]:
    """A probe, and its memory by the estimate."""
    stage, _ = setup.stages[index]
    estimated = setup.estimate_of(stage, found.micro_batch).memory
    return {"length": stage.sequence_length, **asdict(found), "estimated_memory": estimated}


def rows(setup: PretrainSetup, facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The figures in readable form: name, size, detail."""
    parts = ", ".join(f"{name} {size:,}" for name, size in facts["parameters"]["parts"].items())
    memory, fitting, machine, kept = facts["memory"], facts["fit"], facts["machine"], facts["disk"]
    kinds = ("weights", "gradients", "optimizer", "activations", "logits")
    shown = ", ".join(f"{kind} {quantity(memory[kind], 'B')}" for kind in kinds)
    lines = [("parameters", f"{facts['parameters']['total']:,}", parts)]
    if facts["steps"] is not None:
        stages = ", ".join(
            f"{facts['steps'] * s.share:,.0f} of {s.batch_size:,} x {s.sequence_length:,} tokens"
            for s, _ in setup.stages
        )
        lines += [
            ("steps", f"{facts['steps']:,}", stages),
            (
                "tokens",
                f"{facts['tokens']:,.0f}",
                f"{agreeing(_epochs(facts['epochs']), 'epochs')} of {facts['tokens_per_epoch']:,.0f}",
            ),
            *(
                ("store", percent(one.share, 2), f"{one.path}: {one.read}")
                for one in setup.stores.shares(facts["steps"], setup.stages)
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
            f"{shown}; micro-batches of {counted(memory['micro_batch'], 'sequences')}",
        ),
        (
            "machine",
            quantity(machine["memory"], "B"),
            f"{machine['name']}; {_verdict(setup, fitting, machine)}",
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
        lines.append(_probe_line(setup, facts, found))
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


def _verdict(setup: PretrainSetup, fitting: dict[str, Any], machine: dict[str, Any]) -> str:
    """Whether it fits, and with which micro-batch."""
    taken = f" with {quantity(machine['taken'], 'B')} for Python and torch" if machine["taken"] else ""
    if fitting["micro_batch"] is None:
        return f"does not fit{taken}, not even one sequence at a time"
    length = max(stage.sequence_length for stage, _ in setup.stages)
    room = f"up to {counted(fitting['micro_batch'], 'sequences')} of {length:,} tokens at once"
    if fitting["fits"]:
        return f"fits{taken}; {room}"
    remedy = f": train.gradient_accumulation={fitting['accumulate']}" if fitting["accumulate"] else ""
    return f"does not fit{taken}; {room}{remedy}"


def _probe_line(setup: PretrainSetup, facts: dict[str, Any], found: dict[str, Any]) -> tuple[str, str, str]:
    rate = found["tokens_per_second"]
    line = f"{rate:,.0f} tokens/s, {quantity(rate * facts['flops_per_token'], 'FLOP/s')}"
    line += f"; {counted(found['steps'], 'steps')} of {found['rows']:,} x {found['length']:,} tokens took "
    line += f"{quantity(found['memory'], 'B')} of memory, {quantity(found['estimated_memory'], 'B')} by the estimate"
    return "a step", _short(found["seconds"]), line


def _epochs(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else significant(number)


def _short(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else f"{seconds:.3g} s"
