"""The plan of a fine-tuning run: counted from its rows, compared with this machine, and timed by some steps."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from nlptool.commands.finetune import run as finetuning
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.commands.plan.pretrain import PASSES
from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.formatting import counted, duration, each, percent, quantity, significant
from nlptool.launch import ALONE
from nlptool.runs.benchmark import STEPS, WARM_UP, timed_steps
from nlptool.runs.launch import require_device
from nlptool.runs.machine import DeviceInfo, device_info, memory_used, peak_memory_used
from nlptool.train import distributed
from nlptool.train.optim import Adam
from nlptool.train.trainer import State

LONGEST = 30.0  # longest probe in seconds, without its last step


def show(setup: FinetuneSetup, seeds: Sequence[int], *, probe: bool, as_json: bool, console: Console) -> None:
    """Show what the runs would take; nothing is written. Raises DataError for invalid rows."""
    machine = device_info(setup.out)
    facts = finetuning.needs(setup, len(seeds)) | {"machine": asdict(machine), "probe": None, "seconds": None}
    if probe:
        facts |= _timed(setup, seeds, console)
    if as_json:
        console.json(facts)
    else:
        console.table(("", "", "in detail"), _rows(setup, facts, machine), title=f"finetune: {setup.out}")


def _timed(setup: FinetuneSetup, seeds: Sequence[int], console: Console) -> dict[str, Any]:
    """The time of some steps, and of the whole run."""
    world = distributed.join(ALONE)
    try:
        require_device(setup.train, world)
    except UsageError as error:  # a recipe for another machine can be planned on this one
        console.note(f"no time estimate: {error.message}")
        return {}
    before = memory_used(world.device)
    torch.manual_seed(0)
    objective = setup.objective().to(world.device)
    state = State(objective, Adam(objective, setup.train.optimizer, setup.rates))
    steps = min(STEPS, setup.steps)
    console.note(f"timing up to {steps} of {counted(setup.steps, 'steps')}")
    timed, tokens, number, spent = 0.0, 0, 0, 0.0
    batches = setup.batches(objective, seeds[0], world)
    for step, seconds in timed_steps(state, objective, batches, setup.train, steps, seeds[0], world):
        spent += seconds
        if step.number > min(WARM_UP, steps // 2):
            timed, tokens, number = timed + seconds, tokens + step.tokens, number + 1
        if spent > LONGEST and number:
            break
    rate = tokens / timed
    mean = {name: float(split.lengths.mean()) for name, split in setup.splits.items() if len(split.labels)}
    task = setup.task
    training = setup.steps * setup.train.batch_size * mean[task.train] / rate
    # the result is evaluated once more
    times = max(1, -(-setup.steps // (setup.evaluate.every or setup.epoch))) + 1
    read = sum(len(setup.splits[name].lengths) * mean[name] for name in task.validation)
    evaluation = times * read / rate / PASSES
    return {
        "probe": {
            "steps": number,
            "step": timed / number,
            "tokens_per_second": rate,
            "memory": max(0, peak_memory_used(world.device) - before),
        },
        "seconds": {
            "training": training,
            "evaluation": evaluation,
            "total": (training + evaluation) * len(seeds),
        },
    }


def _rows(setup: FinetuneSetup, facts: dict[str, Any], machine: DeviceInfo) -> list[tuple[str, str, str]]:
    """The figures in readable form: name, size, detail."""
    train, seeds = setup.splits[setup.task.train], facts["seeds"]
    shown = ", ".join(f"{name} {count:,}" for name, count in facts["rows"].items())
    cut = ", ".join(f"{percent(share)} with {what}" for what, share in facts["cut"][setup.task.train].items())
    lines = [
        ("parameters", f"{facts['parameters']:,}", setup.start),
        (
            "rows",
            f"{facts['rows'][setup.task.train]:,}",
            f"{shown}; {train.lengths.mean():.0f} tokens in the mean, {cut}",
        ),
        (
            "steps",
            f"{facts['steps']:,}",
            f"of {counted(setup.train.batch_size, 'rows')}, with {each(seeds, 'seeds')}",
        ),
        (
            "FLOPs",
            significant(facts["flops"]),
            f"{significant(facts['flops_per_token'])} a token, forward and backward",
        ),
        ("memory", quantity(facts["memory"], "B"), "with the longest rows"),
    ]
    needed = facts["memory"] + machine.taken
    verdict = "fits" if needed <= machine.memory else "does not fit: raise train.gradient_accumulation"
    lines.append(("machine", quantity(machine.memory, "B"), f"{machine.name}; {verdict}"))
    if found := facts["probe"]:
        rate = found["tokens_per_second"]
        shown = f"{rate:,.0f} tokens/s, {quantity(rate * facts['flops_per_token'], 'FLOP/s')}"
        shown += f"; {counted(found['steps'], 'steps')} took {quantity(found['memory'], 'B')} of memory"
        lines.append(("a step", f"{found['step']:.3g} s", shown))
    if seconds := facts["seconds"]:
        one = f"{duration(seconds['training'])} training, {duration(seconds['evaluation'])} evaluation"
        lines.append(
            ("time", duration(seconds["total"]), f"{one}" + (f", {seeds} times" if seeds > 1 else ""))
        )
    return lines
