"""Implementation of the pretraining commands."""

import shutil
from pathlib import Path
from typing import Any

from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.console import Console, Options
from nlptool.errors import UsageError
from nlptool.formatting import agreeing, duration, percent, quantity, significant
from nlptool.metric_table import describe
from nlptool.models import hub, huggingface
from nlptool.objectives import initial_weights
from nlptool.recipe import dump
from nlptool.runs import launch, machine
from nlptool.runs.job import RunConfig, RunResult, TrainingJob
from nlptool.runs.loop import open_run, train_job
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler
from nlptool.train.stages import FRESH
from nlptool.train.trainer import State, held_out

COMPILERS = ("g++", "clang++", "c++")


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Pretrain, to the end or to a signal, and report."""
    setup, result = pretrain(recipe, options, console)
    report(setup, result, console, as_json=options.json)


def pretrain(recipe: Recipe, options: Options, console: Console) -> tuple[PretrainSetup, RunResult]:
    """Pretrain, to the end or to a signal."""
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
        setup = PretrainSetup(recipe, FRESH if point is None else point.begun)
        if context.world.device.type == "cuda" and recipe.train.precision == "fp32":
            console.note("train.precision is fp32; bf16 uses the GPU's tensor cores and is faster")
        machine.require_room(setup.model.least_parameters, context.world.device)
        console.notes(initial_weights.remarks(recipe.init_from, setup.tokenizer))
        console.notes(setup.remarks())
        result = train_job(
            config, training_job(setup, context.world), point, context, overwrite=options.overwrite
        )
    return setup, result


def training_job(setup: PretrainSetup, world: DistributedContext) -> TrainingJob:
    """The training job of one rank."""
    launch.require_device(setup.train, world)
    if setup.train.compile and world.device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise UsageError(
            "train.compile: torch.compile needs a C++ compiler on a CPU, and there is none",
            hint=f"install one of {', '.join(COMPILERS)}, or leave train.compile out",
        )
    objective = setup.objective()
    if setup.pretrained is not None:
        huggingface.load(objective, setup.state, setup.model.new_parts)
    if setup.teacher is not None and objective.teacher is not None:
        huggingface.load(objective.teacher, setup.teacher.pretrained.state)
    batches, by_store = setup.held_out(objective, world), setup.held_out_by_store(objective, world)

    def evaluate(state: State, signals: SignalHandler) -> dict[str, float]:
        assert batches is not None  # else this is not called
        number, train = setup.evaluate.batches, setup.train
        figures = held_out(state, objective, batches, number, train, world, signals)
        each = -(-number // max(len(by_store), 1))  # so that an evaluation takes twice as long, not more
        for store, own in by_store.items():
            found = held_out(state, objective, own, each, train, world, signals)
            figures |= {f"{store}/{term}": found[term] for term in objective.weights if term in found}
        return figures

    return TrainingJob(
        objective=objective,
        batches=setup.source(objective, world),
        evaluate=None if batches is None else evaluate,
        evaluate_first=setup.pretrained is not None,
        steps=setup.steps,
        seconds=setup.seconds,
        cost=setup.cost(objective, world.device),
        export=lambda path: setup.export(objective, path),
        models=setup.stores.read
        | ({} if setup.init_from is None else {"init_from": hub.folder(setup.init_from)})
        | ({} if setup.teacher is None else {"teacher": setup.teacher.folder})
        | ({} if setup.entities is None else {"entity_embeddings": setup.entities.path}),
        stages=tuple(setup.first_steps),
    )


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Show the resolved recipe and what the run would take; creates no weights and writes nothing."""
    setup = PretrainSetup(recipe)
    tokens = setup.steps * setup.tokens_per_step
    facts: dict[str, Any] = {
        "parameters": setup.estimate.parameters,
        "flops_per_token": setup.flops_per_step / setup.tokens_per_step,
        "memory": {
            "weights": setup.estimate.weights,
            "gradients": setup.estimate.gradients,
            "optimizer": setup.estimate.optimizer,
            "activations": setup.estimate.activations,
            "logits": setup.estimate.logits,
            "total": setup.estimate.memory,
        },
        "steps": setup.steps if setup.seconds is None else None,
        "seconds": setup.seconds,
        "tokens": tokens if setup.seconds is None else None,
        "epochs": setup.steps * setup.epochs_per_step if setup.seconds is None else None,
    }
    stores = setup.stores.shares(setup.steps, setup.stages) if setup.seconds is None else []
    if stores:
        facts["stores"] = [one._asdict() for one in stores]
    if options.json:
        console.json(facts | {"recipe": recipe.model_dump(mode="json")})
        return
    console.result(dump(recipe))
    memory = ", ".join(f"{name} {quantity(size, 'B')}" for name, size in facts["memory"].items())
    shown = {
        "parameters": f"{setup.estimate.parameters:,}",
        "FLOPs per token": f"{significant(facts['flops_per_token'])}, forward and backward, matrix products",
        "memory": memory,
    }
    if setup.seconds is None:
        epochs = agreeing(format(facts["epochs"], ".3g"), "epochs")
        shown |= {
            "steps": f"{setup.steps:,}",
            "tokens": f"{tokens:,.0f}: {epochs} of {'stores' if stores else 'a store'} of {setup.stores.tokens:,}",
            **{one.path: f"{percent(one.share, 2)} of the rows: {one.read}" for one in stores},
            "FLOPs": significant(setup.steps * setup.flops_per_step),
        }
    else:
        shown["time"] = duration(setup.seconds)
    console.facts("this run would take", shown)


def report(setup: PretrainSetup, outcome: RunResult, console: Console, *, as_json: bool) -> None:
    """Print the final figures of a run."""
    entropy = None if setup.stores.mixed else setup.store.info.get("unigram_entropy")
    facts: dict[str, Any] = {
        "steps": outcome.steps,
        "tokens": outcome.tokens,
        "seconds": outcome.seconds,
        "heldout": outcome.heldout,
        **({"heldout_before": outcome.heldout_before} if outcome.heldout_before else {}),
        "unigram_entropy": entropy,
        "final": str(outcome.final),
    }
    if as_json:
        console.json(facts)
        return
    shown = {
        "steps": f"{outcome.steps:,}",
        "tokens": f"{outcome.tokens:,}",
        "time": duration(outcome.seconds),
    }
    objective = setup.objective_config.name
    for name, value in outcome.heldout.items():
        metric = describe(name, objective)
        before = outcome.heldout_before.get(name)
        began = "" if before is None else f"; {metric.show(before)} before the first step"
        shown[f"held-out {metric.title}"] = metric.show(value) + began
    if entropy is not None:
        shown["unigram entropy"] = f"{entropy:.3f} nats, the loss of knowing only how frequent each token is"
    shown["model"] = str(outcome.final)
    shown |= {name: str(outcome.final / name) for name in setup.shape.folders(setup.model) if name}
    console.facts(str(setup.out), shown)
