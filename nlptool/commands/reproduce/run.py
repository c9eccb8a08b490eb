"""Implementation of `reproduce`: executes the missing runs, then judges the paper's claims.

OUT/runs/STEP/ARM/seed-N   the runs, as written by their commands
OUT/runs.json              the figures of finished runs, with digests of their recipes
OUT/result.json, result.md, result.html
"""

import os
import time
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from nlptool import __version__
from nlptool.atomic_files import read_or_recompute, read_text, write_json, write_text
from nlptool.commands.reproduce import figures, verdicts
from nlptool.commands.reproduce.experiment import KEPT, Cost, Plan, PlannedRun
from nlptool.commands.reproduce.table import claims_table, lines, measures_table, metric_of, runs_table
from nlptool.console import Console, Options
from nlptool.errors import DataError, UsageError
from nlptool.formatting import counted, duration, markdown, significant
from nlptool.recipe import dump_given
from nlptool.report import experiment_page, seed_means
from nlptool.report.experiment_page import Arm, Series
from nlptool.runs import folder, machine


def dry_run(plan: Plan, options: Options, console: Console) -> None:
    """Show the runs and their cost."""
    columns, rows = runs_table(plan)
    if options.json:
        console.json(
            {
                "name": plan.name,
                "needs": plan.experiment.needs,
                "cost": None if plan.experiment.cost is None else plan.experiment.cost.model_dump(),
                "runs": [dict(zip(columns, row, strict=True)) for row in rows],
            }
        )
        return
    console.table(columns, rows, title=f"{plan.experiment.title}: {counted(len(plan.runs), 'runs')}")
    facts = {"takes": cost_text(plan.experiment.cost), "out": str(plan.out)}
    if plan.experiment.needs == "gpu":
        facts = {"needs": "a GPU"} | facts
    if plan.experiment.requires:
        facts["requires"] = plan.experiment.requires
    console.facts("nothing was written", facts)


def cost_text(cost: Cost | None) -> str:
    """The cost of all runs, in words."""
    if cost is None:
        return "not known"
    return f"{duration(60 * cost.minutes)}, {significant(cost.flops)} FLOPs of training: {cost.machine}"


def run(plan: Plan, options: Options, console: Console) -> None:
    """Execute the missing runs and show the result. Raises UsageError where a GPU is needed and missing."""
    if plan.experiment.needs == "gpu" and not torch.cuda.is_available():
        raise UsageError(
            f"{plan.name} needs a GPU, and there is none here: {cost_text(plan.experiment.cost)}",
            hint=f"nlptool reproduce {plan.name} --dry-run shows what it would run",
        )
    folder.prepare_output_folder(plan.out, options, holds=KEPT)
    known = {} if options.overwrite else read_or_recompute(plan.out / KEPT, dict) or {}
    missing = [one for one in plan.runs if one.identity not in known]
    if len(missing) < len(plan.runs):
        console.note(f"{len(plan.runs) - len(missing)} of {counted(len(plan.runs), 'runs')} are finished")
    for number, one in enumerate(missing, start=len(plan.runs) - len(missing) + 1):
        arms = "all arms" if len(one.arms) == len(plan.experiment.arms) > 1 else ", ".join(one.arms)
        title = f"run {number} of {len(plan.runs)}: {one.step}, {arms}"
        console.note(title if one.seed is None else f"{title}, seed {one.seed}")
        known[one.identity] = _carry_out(one, options.overwrite, console)
        write_json(plan.out / KEPT, known)
        _require_measures(plan, one, known[one.identity])
    result = _result(plan, known)
    write_json(plan.out / "result.json", result)
    _write(plan, result)
    _show(plan, result, options, console)


def _carry_out(one: PlannedRun, overwrite: bool, console: Console) -> dict[str, Any]:
    """Complete one run, continuing an earlier attempt; remains of other runs are removed."""
    light = import_module(f"nlptool.commands.{one.module}.recipe")
    recipe = one.loaded.recipe.model_copy(update={"out": str(one.out)})
    one.loaded.require(light.check(recipe, one.command))
    there = (one.out / "recipe.yaml").exists()
    begun = _begun(one)
    options = Options(
        out=str(one.out),
        resume="auto" if there and begun and not overwrite else None,
        overwrite=there and (overwrite or not begun),
    )
    folder.prepare_output_folder(one.out, options, recipe=recipe)
    one.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(_mark(one), one.identity)
    started = time.monotonic()
    import_module(f"nlptool.commands.{one.module}.run").run(recipe, options, console.without_results())
    found = figures.of(one, recipe)
    return {
        "run": str(one.out),
        "arms": one.arms,
        "seed": one.seed,
        "seconds": round(time.monotonic() - started, 1),
        "figures": found,
    }


def _mark(one: PlannedRun) -> Path:
    """The file beside a run that records the plan it belongs to."""
    return one.out.with_name(f"{one.out.name}.plan")


def _begun(one: PlannedRun) -> bool:
    try:
        return read_text(_mark(one)) == one.identity
    except (FileNotFoundError, DataError):
        return False


def _result(plan: Plan, known: dict[str, Any]) -> dict[str, Any]:
    experiment = plan.experiment
    by_place = {one.out: known[one.identity] for one in plan.runs}
    values = {}
    for name, measure in experiment.measures.items():
        values[name] = {
            arm: [
                _figure(by_place[plan.places[arm, seed, measure.step]], measure.figure_of(arm))
                for seed in range(experiment.seeds)
            ]
            for arm in experiment.arms
        }
    return {
        "name": plan.name,
        "title": experiment.title,
        "source": experiment.source,
        "note": experiment.note,
        "seeds": experiment.seeds,
        "date": date.today().isoformat(),
        "machine": _machine(),
        "versions": f"nlptool {__version__}, torch {torch.__version__}",
        "minutes": round(sum(one["seconds"] for one in by_place.values()) / 60, 1),
        "flops": sum(one["figures"].get("flops", 0.0) for one in by_place.values()),
        "measures": verdicts.arms(experiment, values),
        "claims": verdicts.claims(experiment, values),
    }


def _machine() -> str:
    """What kind of machine this is."""
    device = machine.device()
    name = machine.device_name(device)
    if device.type == "cpu":
        name = machine.processor()
    threads = counted(torch.get_num_threads(), "threads")
    return f"{name}, {threads} of {counted(os.cpu_count() or 1, 'cores')}"


def _require_measures(plan: Plan, one: PlannedRun, found: dict[str, Any]) -> None:
    """Raise UsageError where a run lacks the figures it was planned for, before similar runs are started."""
    for measure in plan.experiment.measures.values():
        if measure.step == one.step:
            for arm in one.arms:
                _figure(found, measure.figure_of(arm))


def _figure(run: dict[str, Any], name: str) -> float:
    """A figure of a run. Raises UsageError if it is missing."""
    if name not in run["figures"]:
        raise UsageError(
            f"{run['run']}: has no figure {name}", hint=f"those it has: {', '.join(run['figures'])}"
        )
    return float(run["figures"][name])


def _write(plan: Plan, result: dict[str, Any]) -> None:
    """Write the result as Markdown and HTML."""
    experiment = plan.experiment
    columns, rows = claims_table(experiment, result)
    facts = list(lines(result))
    parts = [f"## {result['title']}\n", f"{result['source']}.\n", *(f"{fact}\n" for fact in facts)]
    parts += [markdown(columns, rows), markdown(*measures_table(experiment, result))]
    write_text(plan.out / "result.md", "\n".join(parts))
    series = [_series(name, plan, result) for name in experiment.measures]
    recipe = dump_given(experiment)
    write_text(plan.out / "result.html", experiment_page.page(result, facts, rows, series, recipe))


def _series(name: str, plan: Plan, result: dict[str, Any]) -> Series:
    found = result["measures"][name]
    return Series(
        name,
        metric_of(plan.experiment.measures[name]),
        [Arm(arm, **found[arm]) for arm in plan.experiment.arms],
    )


def _show(plan: Plan, result: dict[str, Any], options: Options, console: Console) -> None:
    if options.json:
        console.json(result)
        return
    columns, rows = measures_table(plan.experiment, result)
    console.styled([(result["title"], "")])
    console.result("")
    console.table(columns, rows, title=seed_means.caption([result]))
    console.result("")
    console.table(*claims_table(plan.experiment, result), title=result["source"])
    console.facts(str(plan.out), {"page": "result.html, result.md", "figures": "result.json"})
