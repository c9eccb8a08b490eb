"""Implementation of `finetune`: from a checked recipe to runs and scores.

OUT/recipe.yaml, command.txt, environment.json   as in every run folder
OUT/task.yaml               the task with settings read from its files, where it names files
OUT/grid/NAME/              with a grid: all of this for each combination of values; OUT/scores.json is the best's
OUT/rows/                   encoded rows, for all seeds
OUT/seed-N/                 a run folder; its final/ is the last checkpoint, or the best
and what nlptool.commands.finetune.results writes.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Any

from torch import Tensor

from nlptool.atomic_files import write_json, write_text
from nlptool.commands.finetune import results
from nlptool.commands.finetune.recipe import Recipe, grid_points
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
from nlptool.runs.launch import RunContext
from nlptool.runs.loop import open_run, train_job
from nlptool.tasks.base import Numbers, TaskObjective
from nlptool.tasks.distillation import PredictionDistillation
from nlptool.tasks.predictions import explanations, write_predictions
from nlptool.train.config import Save
from nlptool.train.distributed import DistributedContext
from nlptool.train.estimate import estimate
from nlptool.train.interrupts import SignalHandler
from nlptool.train.trainer import State

TASK = "task.yaml"
PACKAGES = ("torch", "numpy", "tokenizers", "safetensors", "datasets")


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Fine-tune with each seed, to the end or to a signal, and report."""
    result = search_grid(recipe, options, console) if recipe.grid else finetune(recipe, options, console)
    if options.json:
        console.json(result)
    else:
        if recipe.grid:
            results.report_grid(result, recipe.task.metrics, len(recipe.seeds), console)
        results.report(result, console)


def finetune(recipe: Recipe, options: Options, console: Console) -> dict[str, Any]:
    """Fine-tune with each seed; returns the content of OUT/scores.json: results.summary.

    Raises Preempted with the state saved, DataError and UsageError for incompatible settings.
    """
    out = Path(recipe.out)
    with launch.ranks(console) as context:
        world = context.world
        launch.require_device(recipe.train, world)
        source = world.on_rank0(lambda: folder.prepare_output_folder(out, options, recipe=recipe))
        setup = FinetuneSetup(recipe)
        world.on_rank0(lambda: _begin(recipe, setup, source, options, context))
        setup.open(out / "rows")
        world.on_rank0(lambda: setup.keep_features(out / "rows", world.device, console))
        setup.use_features(out / "rows")
        world.on_rank0(lambda: setup.remark(console))
        done = [one_seed(recipe, setup, seed, options, context) for seed in recipe.seeds]
        result = results.summary(setup, done)
        world.on_rank0(lambda: write_json(out / "scores.json", result))
    return result


def search_grid(recipe: Recipe, options: Options, console: Console) -> dict[str, Any]:
    """Train all unfinished combinations, and report the best one, the first of equal ones."""
    out, points = Path(recipe.out), grid_points(recipe)
    metric, tried = recipe.task.metrics[0], list[dict[str, Any]]()
    with launch.ranks(console) as context:
        world = context.world
        world.on_rank0(lambda: _begin_grid(recipe, options, console))
        for number, (name, point) in enumerate(points.items(), start=1):
            console.note(f"combination {number} of {len(points)}: {name}")
            there = world.on_rank0((Path(point.out) / "recipe.yaml").exists)
            own = replace(options, out=point.out, resume="auto" if there else None, overwrite=False)
            tried.append({"name": name, **finetune(point, own, console)})
        found = results.best_of(tried, metric)
        world.on_rank0(lambda: write_json(out / "scores.json", found))
    return found


def _begin_grid(recipe: Recipe, options: Options, console: Console) -> None:
    out = Path(recipe.out)
    folder.prepare_output_folder(out, options, recipe=recipe)
    finished = False
    if not options.overwrite and (out / "recipe.yaml").exists():
        changed = folder.check_resume(out, recipe)
        folder.report_changes(changed, console)
        finished = not changed and (out / "scores.json").exists()
    folder.create_run_folder(out, recipe, {}, overwrite=options.overwrite, finished=finished)


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Read and check every row, then show what the runs would take; writes nothing."""
    with rows_aside(recipe, console) as setup:
        setup.remark(console)
        facts = needs(setup, len(recipe.seeds))
    if options.json:
        console.json(facts | {"recipe": recipe.model_dump(mode="json")})
        return
    shown = {
        "rows": ", ".join(f"{name} {count:,}" for name, count in facts["rows"].items()),
        **results.shown_cuts(facts["cut"]),
        "parameters": facts["parameters"],
        "steps": f"{setup.steps:,}, with {each(len(recipe.seeds), 'seeds')}",
        "FLOPs": significant(facts["flops"]),
        "memory": f"{facts['memory'] / 1e9:.2f} GB",
        setup.shape.baseline_name: listed(facts["baseline"]),
    }
    if recipe.grid:
        shown["grid"] = (
            f"{counted(len(grid_points(recipe)), 'combinations')}, each as this one or with its own values"
        )
    if (described := setup.described) is not None:
        console.result(described)
    console.facts("these runs would take", shown)


@contextmanager
def rows_aside(recipe: Recipe, console: Console) -> Iterator[FinetuneSetup]:
    """A setup with its rows encoded in a temporary folder."""
    setup = FinetuneSetup(recipe)
    with tempfile.TemporaryDirectory() as aside:
        setup.encode(Path(aside) / "rows", console)
        setup.open(Path(aside) / "rows")
        setup.assume_features()
        yield setup


def needs(setup: FinetuneSetup, seeds: int) -> dict[str, Any]:
    """What the runs would take; memory is that of the longest rows."""
    train, rows = setup.train, setup.splits[setup.task.train]
    size = train.batch_size // train.gradient_accumulation
    (longest,) = SequentialBatches(rows, setup.shape.collate, batch=size).get(0)
    need = estimate(setup.objective, longest, train.precision, setup.vocabulary.rows)
    per_row = setup.flops_per_row(setup.shape)
    return {
        "rows": {name: split.count for name, split in setup.splits.items()},
        "cut": results.cuts(setup),
        "parameters": need.parameters,
        "flops_per_token": per_row / float(rows.lengths.mean()),
        "memory": need.memory,
        "steps": setup.steps,
        "seeds": seeds,
        "flops": per_row * setup.steps * train.batch_size * seeds,
        "baseline": setup.baseline(),
    }


def one_seed(
    recipe: Recipe,
    setup: FinetuneSetup,
    seed: int,
    options: Options,
    context: RunContext,
    teacher_logits: Tensor | None = None,
) -> dict[str, Any]:
    """Train one seed, or return its result if it is finished.

    teacher_logits: of the training rows, [N, W], used in place of their labels.
    """
    recipe = _of_seed(recipe, seed, setup.models)
    out = Path(recipe.out)
    if (finished := results.known(out)) is not None:
        context.console.note(f"{out}: is finished")
        return finished
    every = recipe.evaluate.every or setup.epoch
    config = RunConfig(recipe, out, recipe.train, every, Save(every=every, keep_last=1), recipe.track, seed)
    resume = "auto" if options.resume else None
    point = open_run(config, replace(options, resume=resume, overwrite=False), context)
    objective = setup.objective()
    fresh = huggingface.load(objective, setup.state).fresh
    random = f"; from random weights: {', '.join(fresh)}" if fresh else ""
    context.console.note(f"seed {seed}: {counted(setup.steps, 'steps')}{random}")
    job = _job(setup, seed, objective, teacher_logits, context.world)
    result = train_job(config, job, point, context, overwrite=False)
    return _scores(setup, seed, out, objective, result, context)


def _job(
    setup: FinetuneSetup,
    seed: int,
    objective: TaskObjective,
    teacher_logits: Tensor | None,
    world: DistributedContext,
) -> TrainingJob:
    """The training job of one seed."""
    for part in objective.modules():
        if isinstance(part, Layers):
            part.recompute = setup.train.activation_checkpointing
    minimised: Objective = objective
    if teacher_logits is not None:
        minimised = PredictionDistillation(objective, teacher_logits)

    def evaluate(state: State, signals: SignalHandler) -> dict[str, float]:
        found: dict[str, float] = {}
        for split in setup.task.validation:
            found |= setup.figures(split, setup.predict_split(objective, split, world, signals))
        return setup.with_total(found)

    return TrainingJob(
        objective=minimised,
        batches=PrefetchingLoader(setup.batches(minimised, seed, world), world.device),
        evaluate=evaluate,
        steps=setup.steps,
        seconds=None,
        cost=setup.cost(minimised, world.device),
        export=lambda path: setup.export(objective, path),
        rates=setup.rates,
        patience=setup.evaluate.patience,
        best=setup.evaluate.select == "best",
    )


def _of_seed(recipe: Recipe, seed: int, models: Mapping[str, Path]) -> Recipe:
    """The recipe of one seed's run. Raises UsageError where its run is finished, and was trained in another way."""
    out = Path(recipe.out) / f"seed-{seed}"
    own = recipe.model_copy(update={"seeds": (seed,), "out": str(out)})
    if results.known(out) is not None:
        require_same(kept(out, Recipe), own, out, models, folder.recorded_digests(out.parent))
    return own


def require_same(
    old: RecipeBlock, new: RecipeBlock, out: Path, models: Mapping[str, Path], recorded: Mapping[str, str]
) -> None:
    """Raise UsageError where a finished seed was trained in another way, since a mean would make no sense."""
    differs = [change for change in folder.changed_keys(old, new) if change.path != "track"]
    if not differs:
        return
    if changed := folder.without_moved(differs, recorded, folder.digests(models)):
        raise UsageError(
            f"{out}: is finished, but was trained with another recipe:{folder.format_changes(changed)}",
            hint="put these back, train all seeds again with --overwrite, or choose another --out",
        )


def _scores(
    setup: FinetuneSetup,
    seed: int,
    out: Path,
    objective: TaskObjective,
    result: RunResult,
    context: RunContext,
) -> dict[str, Any]:
    """Score the result on all validation rows, and write the predictions for these and for test rows."""
    task, (_, world, signals) = setup.task, context
    found: dict[str, float] = {}
    for split in (*task.validation, *(name for name in task.test if name in setup.splits)):
        logits = setup.predict_split(objective, split, world, signals)
        if split == task.validation[0]:
            setup.shape.fit_thresholds(setup.splits[split], logits)
            with signals.shield():
                world.on_rank0(lambda: setup.record.write(out / "final"))
        if split in task.validation:
            found |= setup.figures(split, logits)
        write = partial(_write_predictions, setup, objective, split, out, logits, world)
        with signals.shield():
            world.on_rank0(write)
    found = setup.with_total(found)
    scores = {"seed": seed, "step": result.steps, "seconds": result.seconds, "figures": found}
    with signals.shield():
        world.on_rank0(lambda: write_json(out / "scores.json", scores))
    return scores


def _write_predictions(
    setup: FinetuneSetup,
    objective: TaskObjective,
    split: str,
    out: Path,
    logits: Numbers,
    world: DistributedContext,
) -> None:
    """Write the predictions for the rows of a split, with explanations if the task has them."""
    rows, size = setup.splits[split], setup.record.batch_size
    write_predictions(
        setup.shape, rows, out, split, logits, explanations(objective, rows, world.device, size)
    )


def _begin(
    recipe: Recipe, setup: FinetuneSetup, source: Path | None, options: Options, context: RunContext
) -> None:
    """Record the start, and encode the rows."""
    (console, world, _), models = context, setup.models
    if (described := setup.described) is not None and source is None:
        console.note(f"the task, as {setup.out / TASK} keeps it:\n{indent(described.rstrip(), '  ')}")
    finished = False
    if source is not None and (setup.out / "recipe.yaml").exists():
        changed = folder.check_resume(setup.out, recipe, models)
        finished = not changed and all(results.known(setup.out / f"seed-{seed}") for seed in recipe.seeds)
        for seed in recipe.seeds:
            _of_seed(recipe, seed, models)
        folder.report_changes(changed, console)
    facts = machine.environment(PACKAGES, world) | {"models": folder.digests(models)}
    if source is None:
        folder.create_run_folder_with(
            setup.out,
            recipe,
            facts,
            lambda aside: setup.encode(aside / "rows", console),
            overwrite=options.overwrite,
        )
    else:
        folder.create_run_folder(setup.out, recipe, facts, overwrite=False, finished=finished)
        setup.encode(setup.out / "rows", console)
    if described is not None:
        write_text(setup.out / TASK, described)
