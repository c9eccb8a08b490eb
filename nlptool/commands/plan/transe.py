"""The plan of a run that trains graph embeddings: counted, and timed by some steps."""

from dataclasses import asdict
from typing import Any

from nlptool.commands.pretrain_transe.run import figures, shown, training_job
from nlptool.commands.pretrain_transe.setup import TransESetup
from nlptool.console import Console
from nlptool.data.batches import Stage
from nlptool.formatting import duration, quantity
from nlptool.runs.benchmark import Probe, stage_probe
from nlptool.runs.machine import device_info


def show(setup: TransESetup, *, probe: bool, as_json: bool, console: Console) -> None:
    """Show what the run would take."""
    machine = device_info(setup.out)
    found = _probed(setup, console) if probe else None
    facts: dict[str, Any] = figures(setup) | {
        "command": "pretrain-transe",
        "machine": asdict(machine),
        "fits": setup.memory["total"] + machine.taken <= machine.memory,
        "probe": None if found is None else asdict(found),
    }
    if setup.seconds is None and found is not None:
        facts["seconds"] = setup.steps * found.seconds
    if as_json:
        console.json(facts)
        return
    rows = shown(setup, facts)
    verdict = "fits" if facts["fits"] else "does not fit: lower objective.embedding_size"
    rows["machine"] = f"{quantity(machine.memory, 'B')}, {machine.name}; {verdict}"
    if found is not None:
        rows["a step"] = f"{found.seconds:.3g} s, {found.tokens_per_second:,.0f} triples a second"
    if facts["seconds"] is not None:
        rows["time"] = f"{duration(facts['seconds'])}, evaluation and checkpoints not counted"
    console.table(("", ""), list(rows.items()), title=f"pretrain-transe: {setup.out}")


def _probed(setup: TransESetup, console: Console) -> Probe | None:
    """Time some steps; None if this machine cannot run the recipe, which may be for another one."""
    probe = stage_probe(setup.train, setup.seed, lambda world: training_job(setup, world), console)
    return None if probe is None else probe.probe(Stage(0, setup.train.batch_size, setup.examples))
