"""The heavy half of `pretrain`: runs, and what is said of them."""

import shutil
from pathlib import Path
from typing import Any

from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.console import Console, Options
from nlptool.errors import UsageError
from nlptool.formatting import agreeing, duration, quantity, significant
from nlptool.metric_table import describe, objective_of
from nlptool.models import huggingface
from nlptool.recipe import dump
from nlptool.runs import launch
from nlptool.runs.job import RunConfig, RunResult, TrainingJob
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler
from nlptool.train.stages import ResumedAt
from nlptool.train.trainer import State, held_out

COMPILERS = ("g++", "clang++", "c++")


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Pretrain, to the end or to a signal, and report."""
    plan, outcome = pretrain(recipe, options, console)
    report(plan, outcome, console, as_json=options.json)


def pretrain(recipe: Recipe, options: Options, console: Console) -> tuple[PretrainSetup, RunResult]:
    """Pretrain, to the end or to a signal."""
    settings = RunConfig(
        recipe=recipe,
        out=Path(recipe.out),
        train=recipe.train,
        evaluate_every=recipe.evaluate.every,
        save=recipe.save,
        track=recipe.track,
        seed=recipe.seed,
    )
    plans: list[PretrainSetup] = []

    def build(world: DistributedContext, begun: ResumedAt) -> TrainingJob:
        plan = PretrainSetup(recipe, begun)
        plans.append(plan)
        slow = world.device.type == "cuda" and recipe.train.precision == "fp32"
        remarks = ["train.precision is fp32; bf16 is what the tensor cores of a GPU are for"] * slow
        for remark in [*remarks, *plan.remarks()]:
            console.note(remark)
        return job(plan, world)

    outcome = launch.train(settings, options, console, build)
    return plans[0], outcome


def job(plan: PretrainSetup, world: DistributedContext) -> TrainingJob:
    """Everything that the training loop needs, on one rank."""
    launch.require_device(plan.recipe.train, world)
    if plan.recipe.train.compile and world.device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise UsageError(
            "train.compile: torch.compile needs a C++ compiler on a CPU, and there is none",
            hint=f"install one of {', '.join(COMPILERS)}, or leave train.compile out",
        )
    objective = plan.objective()
    if plan.pretrained is not None:
        huggingface.load(objective, plan.state)
    if plan.teacher is not None and objective.teacher is not None:
        huggingface.load(objective.teacher, plan.teacher.pretrained.state)
    batches = plan.held_out(objective, world)

    def evaluate(state: State, interrupts: SignalHandler) -> dict[str, float]:
        assert batches is not None  # else this is not called
        number, train = plan.recipe.evaluate.batches, plan.recipe.train
        return held_out(state, objective, batches, number, train, world, interrupts)

    return TrainingJob(
        objective=objective,
        batches=plan.source(objective, world),
        evaluate=None if batches is None else evaluate,
        steps=plan.steps,
        seconds=plan.seconds,
        cost=plan.cost(objective, world),
        export=lambda path: plan.export(objective, path),
        models={"tokens": plan.store.path}
        | ({} if plan.teacher is None else {"teacher": plan.teacher.folder}),
        stages=tuple(plan.first_steps),
    )


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Show the resolved recipe and what the run would take; makes no weights and writes nothing."""
    plan = PretrainSetup(recipe)
    train = plan.store.split("train")
    tokens = plan.steps * plan.tokens_per_step
    facts: dict[str, Any] = {
        "parameters": plan.estimate.parameters,
        "flops_per_token": plan.flops_per_step / plan.tokens_per_step,
        "memory": {
            "weights": plan.estimate.weights,
            "gradients": plan.estimate.gradients,
            "optimizer": plan.estimate.optimizer,
            "activations": plan.estimate.activations,
            "logits": plan.estimate.logits,
            "total": plan.estimate.memory,
        },
        "steps": plan.steps if plan.seconds is None else None,
        "seconds": plan.seconds,
        "tokens": tokens if plan.seconds is None else None,
        "epochs": plan.steps * plan.epochs_per_step if plan.seconds is None else None,
    }
    if options.json:
        console.json(facts | {"recipe": recipe.model_dump(mode="json")})
        return
    console.result(dump(recipe))
    memory = ", ".join(f"{name} {quantity(size, 'B')}" for name, size in facts["memory"].items())
    shown = {
        "parameters": f"{plan.estimate.parameters:,}",
        "FLOPs per token": f"{significant(facts['flops_per_token'])}, forward and backward, matrix products",
        "memory": memory,
    }
    if plan.seconds is None:
        epochs = agreeing(format(facts["epochs"], ".3g"), "epochs")
        shown |= {
            "steps": f"{plan.steps:,}",
            "tokens": f"{tokens:,.0f}: {epochs} of a store of {train.tokens:,}",
            "FLOPs": significant(plan.steps * plan.flops_per_step),
        }
    else:
        shown["time"] = duration(plan.seconds)
    console.facts("this run would take", shown)


def report(plan: PretrainSetup, outcome: RunResult, console: Console, *, as_json: bool) -> None:
    """The figures that a run ends with, on stdout."""
    entropy = plan.store.info.get("unigram_entropy")
    facts: dict[str, Any] = {
        "steps": outcome.steps,
        "tokens": outcome.tokens,
        "seconds": outcome.seconds,
        "heldout": outcome.heldout,
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
    objective = objective_of(plan.recipe.model_dump())
    for name, value in outcome.heldout.items():
        metric = describe(name, objective)
        shown[f"held-out {metric.title}"] = metric.show(value)
    if entropy is not None:
        shown["unigram entropy"] = f"{entropy:.3f} nats, the loss of knowing only how frequent each token is"
    shown["model"] = str(outcome.final)
    shown |= {name: str(outcome.final / name) for name in plan.shape.folders(plan.model) if name}
    console.facts(plan.recipe.out, shown)
