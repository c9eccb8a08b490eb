"""Implementation of `compare`: trains missing runs, probes every checkpoint, writes the table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nlptool.atomic_files import write_json, write_text
from nlptool.commands.compare import checkpoint_scores
from nlptool.commands.compare.options import RESULT, ComparedRun, Comparison
from nlptool.commands.pretrain import run as pretraining
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.commands.suite import run as suite_run
from nlptool.console import Console, Options
from nlptool.formatting import bullets, counted, markdown
from nlptool.recipe import difference, kept
from nlptool.report import comparison_charts, comparison_table, seed_means, suite_scores, verdict
from nlptool.runs import folder, launch, run_state
from nlptool.train import budget
from nlptool.train.distributed import DistributedContext


def dry_run(comparison: Comparison, options: Options, console: Console) -> None:
    """Show what each run would take, without training. Raises RecipeError for a budget that they do not all meet."""
    setups = {run.title: PretrainSetup(run.recipe) for run in comparison.runs}
    _require_budget_met(setups)
    rows = []
    for name, setup in setups.items():
        tokens = setup.steps * setup.tokens_per_step
        known = setup.seconds is None
        rows.append(
            {
                "run": name,
                "parameters": setup.estimate.parameters,
                "flops_per_token": setup.flops_per_step / setup.tokens_per_step,
                "steps": setup.steps if known else None,
                "tokens": round(tokens) if known else None,
                "flops": setup.steps * setup.flops_per_step if known else None,
            }
        )
    if options.json:
        console.json(rows)
        return
    columns = ("run", "parameters", "FLOPs per token", "steps", "tokens", "FLOPs")
    console.table(columns, [["" if v is None else v for v in row.values()] for row in rows])


def run(comparison: Comparison, options: Options, console: Console) -> None:
    """Train, probe, write; finished parts are kept. All ranks train, rank 0 does the rest."""
    with launch.ranks(console) as context:
        context.world.on_rank0(lambda: folder.prepare_output_folder(comparison.out, options, holds=RESULT))
        pairs = _checked(comparison)  # faults show now, not after hours
        for number, entry in enumerate(comparison.runs, start=1):
            console.note(f"run {number} of {len(comparison.runs)}: {entry.title}")
            _train(entry, options.overwrite, console, context.world)
    if context.world.first:
        launch.work_alone()
        _evaluate(comparison, pairs, options, console)


def _checked(comparison: Comparison) -> checkpoint_scores.Pairs:
    """The minimal pairs, after checking that they and the budget suit all runs."""
    setups = {run.title: PretrainSetup(run.recipe) for run in comparison.runs}
    _require_budget_met(setups)
    evaluation = comparison.options
    if evaluation.minimal_pairs is None:
        return []
    return checkpoint_scores.read_pairs(evaluation.minimal_pairs, evaluation.limit, setups.values())


def _require_budget_met(setups: Mapping[str, PretrainSetup]) -> None:
    """Raise RecipeError unless all runs end within 1 % of their common budget."""
    given = next(iter(setups.values())).train.budget
    if given is None or given.measure not in budget.UNITS:
        return
    costs = {
        name: setup.flops_per_step if given.measure == "flops" else setup.tokens_per_step
        for name, setup in setups.items()
    }
    budget.require_met(given, {name: budget.Spent(setups[name].steps, cost) for name, cost in costs.items()})


def _evaluate(
    comparison: Comparison, pairs: checkpoint_scores.Pairs, options: Options, console: Console
) -> None:
    """Probe every checkpoint, then write and show the table and the pictures."""
    entries, _, suite, out = comparison
    found = []
    for entry in entries:
        console.note(f"probing {entry.title}")
        setup = PretrainSetup(entry.recipe)
        found.append(checkpoint_scores.evaluated(entry.name, setup, pairs, console))
        found[-1] |= {"seed": entry.recipe.seed, "values": entry.values}
    if suite is not None:
        for one, entry in zip(found, entries, strict=True):
            console.note(f"the suite: {entry.title}")
            run = Path(entry.recipe.out)
            taken = suite_run.take(suite, run / "final", out / "suite" / run.relative_to(out), console)
            one["suite"] = taken
    write_json(out / RESULT, found)
    runs = seed_means.merged(found)
    tables = [(*comparison_table.table(runs), seed_means.caption(runs))]
    if suite is not None:
        tables.append((*suite_scores.table({run["run"]: run["suite"] for run in runs}), suite.caption))
    verdicts = verdict.verdicts(runs, _differing(entries))
    written = [*(markdown(*one) for one in tables), *([bullets(verdicts)] if verdicts else [])]
    write_text(out / "compare.md", "\n".join(written))
    pictures, remarks = comparison_charts.draw(runs, out)
    console.notes(remarks)
    if options.json:
        console.json(found)
        return
    for columns, rows, caption in tables:
        console.table(columns, rows, title=caption)
        console.result("")
    for line in verdicts:
        console.styled([(line, "")])  # wraps on a terminal
    drawn = f"{counted(len(pictures) // 2, 'charts')}, compare-*.svg and .png" if pictures else "none"
    console.facts(str(out), {"table": "compare.md, compare.json", "pictures": drawn})


def _differing(entries: Sequence[ComparedRun]) -> list[str]:
    """The differing keys that determine the predicted tokens and rows."""
    measured = [
        {f"objective.{key}": value for key, value in entry.recipe.objective.model_dump(mode="json").items()}
        | {"train.sequence_length": entry.recipe.train.plan()[0].sequence_length}
        for entry in entries
    ]
    shared = [key for key in measured[0] if all(key in one for one in measured)]
    return [key for key in shared if any(one[key] != measured[0][key] for one in measured)]


def _train(entry: ComparedRun, overwrite: bool, console: Console, world: DistributedContext) -> None:
    """Train a run, or the missing rest of it."""
    out = Path(entry.recipe.out)
    if not overwrite and world.on_rank0(lambda: _is_finished(entry, out)):
        console.note(f"{out}: is finished")
        return
    there = world.on_rank0((out / "recipe.yaml").exists)
    resume = "auto" if there and not overwrite else None
    pretraining.pretrain(entry.recipe, Options(out=str(out), resume=resume, overwrite=overwrite), console)


def _is_finished(entry: ComparedRun, out: Path) -> bool:
    if not run_state.has_ended(out):
        return False
    old = kept(out, type(entry.recipe))
    return all(change.path == "out" for change in difference(old, entry.recipe))
