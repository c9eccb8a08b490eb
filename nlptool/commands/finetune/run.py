"""The heavy half of `finetune`: from a checked recipe to runs and scores.

OUT/recipe.yaml, command.txt, environment.json   as in every run folder
OUT/rows/                   encoded rows, for all seeds
OUT/seed-N/                 a run folder; its final/ is the last checkpoint, or the best
and what nlptool.commands.finetune.results writes.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nlptool.atomic_files import write_json
from nlptool.commands.finetune import results
from nlptool.commands.finetune.recipe import Recipe
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.console import Console, Options
from nlptool.data.batches import PrefetchingLoader
from nlptool.data.length_bucketing import SequentialBatches
from nlptool.errors import UsageError
from nlptool.formatting import counted, each, significant
from nlptool.metric_table import listed
from nlptool.models import huggingface
from nlptool.models.layers import Layers
from nlptool.objectives.base import Objective
from nlptool.recipe import RecipeBlock, kept
from nlptool.runs import folder, launch, machine
from nlptool.runs.job import RunConfig, RunResult, TrainingJob
from nlptool.tasks.base import TaskObjective
from nlptool.train.config import Save
from nlptool.train.distributed import DistributedContext
from nlptool.train.estimate import estimate
from nlptool.train.interrupts import SignalHandler
from nlptool.train.stages import ResumedAt
from nlptool.train.trainer import State


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Fine-tune with each seed, to the end or to a signal, and report."""
    result = finetune(recipe, options, console)
    if options.json:
        console.json(result)
    else:
        results.report(result, console)


def finetune(recipe: Recipe, options: Options, console: Console) -> dict[str, Any]:
    """Fine-tune with each seed; what all have reached, as OUT/scores.json has it: answering.summary.

    Raises Preempted with the state saved, DataError and UsageError for what does not go together.
    """
    out = Path(recipe.out)
    with launch.ranks(console) as (world, interrupts):
        launch.require_device(recipe.train, world)
        source = world.on_first(lambda: folder.prepare_output_folder(out, options, recipe=recipe))
        plan = FinetuneSetup(recipe)
        world.on_first(lambda: _begin(plan, source, options, console, world))
        plan.open(out / "rows")
        world.on_first(lambda: plan.remark(console))
        done = [one(plan, seed, options, console, world, interrupts) for seed in recipe.seeds]
        result = results.summary(plan, done)
        world.on_first(lambda: write_json(out / "scores.json", result))
    return result


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Read and check every row, then say what the runs would take; writes nothing."""
    with read(recipe, console) as plan:
        plan.remark(console)
        facts = needs(plan)
    if options.json:
        console.json(facts | {"recipe": recipe.model_dump(mode="json")})
        return
    shown = {
        "rows": ", ".join(f"{name} {count:,}" for name, count in facts["rows"].items()),
        **results.shown_cuts(facts["cut"]),
        "parameters": facts["parameters"],
        "steps": f"{plan.steps:,}, with {each(len(recipe.seeds), 'seeds')}",
        "FLOPs": significant(facts["flops"]),
        "memory": f"{facts['memory'] / 1e9:.2f} GB",
        plan.shape.guess: listed(facts["baseline"]),
    }
    console.facts("these runs would take", shown)


@contextmanager
def read(recipe: Recipe, console: Console) -> Iterator[FinetuneSetup]:
    """A plan with its rows, which are encoded in a folder that goes when this ends."""
    plan = FinetuneSetup(recipe)
    with tempfile.TemporaryDirectory() as aside:
        plan.encode(Path(aside) / "rows", console)
        plan.open(Path(aside) / "rows")
        yield plan


def needs(plan: FinetuneSetup) -> dict[str, Any]:
    """What the runs of a plan would take: of memory what the longest rows do."""
    recipe, rows = plan.recipe, plan.splits[plan.task.train]
    size = recipe.train.batch // recipe.train.accumulate
    (longest,) = SequentialBatches(rows, rows.lengths, plan.shape.collate, batch=size).get(0)
    need = estimate(plan.objective, longest, recipe.train.precision, plan.vocabulary.rows)
    per_row = plan.flops_per_row(plan.shape)
    return {
        "rows": {name: split.count for name, split in plan.splits.items()},
        "cut": results.cuts(plan),
        "parameters": need.parameters,
        "flops_per_token": per_row / float(rows.lengths.mean()),
        "memory": need.memory,
        "steps": plan.steps,
        "seeds": len(recipe.seeds),
        "flops": per_row * plan.steps * recipe.train.batch * len(recipe.seeds),
        "baseline": plan.baseline(),
    }


def one(
    plan: FinetuneSetup,
    seed: int,
    options: Options,
    console: Console,
    world: DistributedContext,
    interrupts: SignalHandler,
    taught: Callable[[TaskObjective], Objective] = lambda objective: objective,
) -> dict[str, Any]:
    """One run, or what it has reached if it is finished.

    taught: makes of the task's objective the one that is minimised, with the same parts, where that is another.
    """
    recipe = _of_seed(plan.recipe, seed)
    out = Path(recipe.out)
    if (finished := results.known(out)) is not None:
        console.note(f"{out}: is finished")
        return finished
    every = recipe.evaluate.every or plan.epoch
    settings = RunConfig(
        recipe=recipe,
        out=out,
        train=recipe.train,
        evaluate_every=every,
        save=Save(every=every, keep=1),
        track=recipe.track,
        seed=seed,
    )
    trained: list[TaskObjective] = []

    def build(world: DistributedContext, begun: ResumedAt) -> TrainingJob:
        objective = plan.objective()
        trained.append(objective)
        fresh = huggingface.load(objective, plan.state).fresh
        random = f"; from random weights: {', '.join(fresh)}" if fresh else ""
        console.note(f"seed {seed}: {counted(plan.steps, 'steps')}{random}")
        return _job(plan, seed, objective, taught(objective), world)

    resume = "auto" if options.resume else None
    outcome = launch.train_in(
        settings,
        replace(options, resume=resume, overwrite=False),
        console,
        build,
        world,
        interrupts,
    )
    return _scores(plan, seed, trained[0], outcome, world, interrupts)


def _job(
    plan: FinetuneSetup, seed: int, objective: TaskObjective, taught: Objective, world: DistributedContext
) -> TrainingJob:
    """What the training loop needs for one seed. taught: what is minimised, mostly the objective itself."""
    for part in objective.modules():
        if isinstance(part, Layers):
            part.recompute = plan.recipe.train.recompute

    def evaluate(state: State, interrupts: SignalHandler) -> dict[str, float]:
        found: dict[str, float] = {}
        for split in plan.task.validation:
            found |= plan.figures(split, plan.said(objective, split, world, interrupts))
        return plan.with_total(found)

    return TrainingJob(
        objective=taught,
        batches=PrefetchingLoader(plan.batches(taught, seed, world), world.device),
        evaluate=evaluate,
        steps=plan.steps,
        seconds=None,
        cost=plan.cost(taught, world.device),
        export=lambda path: plan.export(objective, path),
        rates=plan.rates,
        patience=plan.recipe.evaluate.patience,
        best=plan.recipe.evaluate.select == "best",
    )


def _of_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe of one seed's run. Raises UsageError where its run is finished, and was trained in another way."""
    out = Path(recipe.out) / f"seed-{seed}"
    own = recipe.model_copy(update={"seeds": (seed,), "out": str(out)})
    if results.known(out) is not None:
        require_same(kept(out, Recipe), own, out)
    return own


def require_same(old: RecipeBlock, new: RecipeBlock, out: Path) -> None:
    """Raise UsageError when a finished seed was trained in another way: no mean would make sense."""
    changed = [change for change in folder.changed_keys(old, new) if change.path != "track"]
    if changed:
        raise UsageError(
            f"{out}: is finished, but was trained with another recipe:{folder.format_changes(changed)}",
            hint="put these back, train all seeds again with --overwrite, or choose another --out",
        )


def _scores(
    plan: FinetuneSetup,
    seed: int,
    objective: TaskObjective,
    outcome: RunResult,
    world: DistributedContext,
    interrupts: SignalHandler,
) -> dict[str, Any]:
    """Score the result on all validation rows, and write down what it says of these and of test rows."""
    task, out = plan.task, Path(plan.recipe.out) / f"seed-{seed}"
    found: dict[str, float] = {}
    for split in (*task.validation, *(name for name in task.test if name in plan.splits)):
        said = plan.said(objective, split, world, interrupts)
        if split == task.validation[0]:
            plan.shape.settle(plan.splits[split], said)
        if split in task.validation:
            found |= plan.figures(split, said)
        with interrupts.shield():
            world.on_first(lambda split=split, said=said: results.write_answers(plan, out, split, said))  # type: ignore[misc]
    found = plan.with_total(found)
    scores = {"seed": seed, "step": outcome.steps, "seconds": outcome.seconds, "figures": found}
    with interrupts.shield():
        world.on_first(lambda: write_json(out / "scores.json", scores))
    return scores


def _begin(
    plan: FinetuneSetup, source: Path | None, options: Options, console: Console, world: DistributedContext
) -> None:
    """Write down what is run, and encode the rows."""
    out, start = Path(plan.recipe.out), {"start": plan.folder}
    if source is not None and (out / "recipe.yaml").exists():
        changed = folder.check_resume(out, plan.recipe, start)
        for seed in plan.recipe.seeds:
            _of_seed(plan.recipe, seed)
        folder.report_changes(changed, console)
    names = ("torch", "numpy", "tokenizers", "safetensors", "datasets", "scikit-learn", "scipy")
    facts = folder.environment(names, machine.device_name(world.device), world.size) | {
        "threads": torch.get_num_threads(),
        "models": folder.digests(start),
    }
    if source is None:
        folder.create_run_folder_with(
            out,
            plan.recipe,
            facts,
            lambda aside: plan.encode(aside / "rows", console),
            overwrite=options.overwrite,
        )
    else:
        folder.create_run_folder(out, plan.recipe, facts, overwrite=False)
        plan.encode(out / "rows", console)
