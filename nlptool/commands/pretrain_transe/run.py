"""Implementation of `pretrain-transe`."""

from pathlib import Path
from typing import Any

from nlptool.commands.pretrain_transe.recipe import Recipe
from nlptool.commands.pretrain_transe.setup import TransESetup
from nlptool.console import Console, Options
from nlptool.formatting import agreeing, duration, quantity, significant
from nlptool.metric_table import describe
from nlptool.recipe import dump
from nlptool.runs import launch
from nlptool.runs.job import RunConfig, RunResult, TrainingJob
from nlptool.runs.loop import open_run, train_job
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler
from nlptool.train.trainer import State, held_out


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Train, to the end or to a signal, and report."""
    config = RunConfig(
        recipe=recipe,
        out=Path(recipe.out),
        train=recipe.train,
        evaluate_every=recipe.evaluate.every,
        save=recipe.save,
        track=recipe.track,
        seed=recipe.seed,
    )
    with launch.ranks(console) as context:
        point = open_run(config, options, context)
        setup = TransESetup(recipe)
        console.notes(remarks(setup))
        job = training_job(setup, context.world)
        result = train_job(config, job, point, context, overwrite=options.overwrite)
    report(setup, result, console, as_json=options.json)


def remarks(setup: TransESetup) -> list[str]:
    """Notes to show before the run."""
    if len(setup.graph.triples("validation")):
        return []
    return ["the graph has no validation triples, so nothing is ranked during training"]


def training_job(setup: TransESetup, world: DistributedContext) -> TrainingJob:
    """The training job of one rank."""
    launch.require_device(setup.train, world)
    objective = setup.objective()
    batches = setup.held_out(objective, world)

    def evaluate(state: State, signals: SignalHandler) -> dict[str, float]:
        assert batches is not None  # else this is not called
        return held_out(state, objective, batches, len(batches), setup.train, world, signals)

    return TrainingJob(
        objective=objective,
        batches=setup.source(objective, world),
        evaluate=None if batches is None else evaluate,
        steps=setup.steps,
        seconds=setup.seconds,
        cost=setup.cost,
        export=lambda path: setup.export(objective, path),
        best=setup.evaluate.select == "best" and batches is not None,
        model_card=False,
        models={"graph": setup.graph.path},
    )


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Show the resolved recipe and what the run would take; creates no weights and writes nothing."""
    setup = TransESetup(recipe)
    facts = figures(setup)
    if options.json:
        console.json(facts | {"recipe": recipe.model_dump(mode="json")})
        return
    console.result(dump(recipe))
    console.notes(remarks(setup))
    console.facts("this run would take", shown(setup, facts))


def figures(setup: TransESetup) -> dict[str, Any]:
    """Figures of the run that are known in advance."""
    timed = setup.seconds is not None
    return {
        "graph": setup.graph.counts,
        "parameters": setup.parameters,
        "flops_per_triple": setup.flops_per_step / setup.train.batch_size,
        "memory": setup.memory,
        "steps": None if timed else setup.steps,
        "seconds": setup.seconds,
        "triples": None if timed else setup.steps * setup.train.batch_size,
        "epochs": None if timed else setup.steps * setup.epochs_per_step,
        "flops": None if timed else setup.steps * setup.flops_per_step,
    }


def shown(setup: TransESetup, facts: dict[str, Any]) -> dict[str, str]:
    """The figures in readable form."""
    counts = setup.graph.counts
    memory = ", ".join(f"{name} {quantity(size, 'B')}" for name, size in facts["memory"].items())
    found = {
        "graph": f"{counts['entities']:,} entities, {counts['relations']:,} relations, {counts['train']:,} triples",
        "parameters": f"{facts['parameters']:,}",
        "memory": memory,
    }
    if facts["steps"] is None:
        return found | {"time": duration(setup.seconds or 0)}
    epochs = agreeing(format(facts["epochs"], ".3g"), "epochs")
    return found | {
        "steps": f"{facts['steps']:,}",
        "triples": f"{facts['triples']:,}: {epochs}",
        "FLOPs": significant(facts["flops"]),
    }


def report(setup: TransESetup, outcome: RunResult, console: Console, *, as_json: bool) -> None:
    """Print the final figures of a run."""
    if as_json:
        console.json(
            {
                "steps": outcome.steps,
                "triples": outcome.tokens,
                "seconds": outcome.seconds,
                "heldout": outcome.heldout,
                "final": str(outcome.final),
            }
        )
        return
    shown = {
        "steps": f"{outcome.steps:,}",
        "triples": f"{outcome.tokens:,}: {outcome.tokens / max(outcome.seconds, 1e-9):,.0f} a second",
        "time": duration(outcome.seconds),
    }
    for name, value in outcome.heldout.items():
        metric = describe(name, setup.objective_config.name)
        shown[f"validation {metric.title}"] = metric.show(value)
    shown["vectors"] = str(outcome.final)
    console.facts(str(setup.out), shown)
