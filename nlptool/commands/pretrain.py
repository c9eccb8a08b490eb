"""Pretraining from a token store: one command for every objective, named after it (`pretrain-mlm`)."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from nlptool import registry
from nlptool.commands import folder, hub
from nlptool.console import Console, Options
from nlptool.recipe import Block, Chosen, Problem
from nlptool.train.config import Evaluate, Save, Train
from nlptool.train.metrics import Tracker


class Recipe(Block):
    """A pretraining run."""

    tokens: str = Field(description="token store, a folder made by nlptool tokenize")
    model: Annotated[Block, Chosen("models")] | None = Field(None, description="the net, from random weights")
    start: str | None = Field(
        None,
        description="in place of model: a Hugging Face folder, e.g. a run's final/, to go on from",
    )
    objective: Annotated[Block, Chosen("objectives")] = Field(description="what is learnt")
    train: Train = Field(description="how the objective is minimised")
    evaluate: Evaluate = Field(Evaluate(), description="held-out loss during training")
    save: Save = Field(Save(), description="checkpoints")
    track: tuple[Tracker, ...] = Field((), description="also log to: tensorboard, wandb")
    seed: int = Field(0, ge=0, description="of weights, order, masks and dropout")
    out: str = Field(description="run folder")

    @model_validator(mode="after")
    def _one_net(self) -> Self:
        if (self.model is None) == (self.start is None):
            raise ValueError("give either model or start, not both" if self.model else "give model or start")
        return self


def check(recipe: Recipe, command: str) -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    objective = recipe.objective.model_dump()["name"]
    if command != f"pretrain-{objective}":
        problems.append(
            Problem(
                "objective.name",
                f"{command} has another objective; nlptool pretrain-{objective} is the command",
            )
        )
    if recipe.model is not None:
        problems += check_model(recipe, recipe.model)
    if not (Path(recipe.tokens) / "store.json").exists():
        problems.append(
            Problem(
                "tokens",
                f"no token store at {recipe.tokens}; make one with nlptool tokenize, or name another",
            )
        )
    if recipe.start is not None and (wrong := hub.problem(recipe.start)):
        problems.append(Problem("start", wrong))
    for index, stage in enumerate(recipe.train.plan()):
        where = f"train.stages.{index}." if recipe.train.stages else "train."
        if stage.batch % recipe.train.accumulate:
            problems.append(
                Problem(
                    f"{where}batch",
                    f"{stage.batch} sequences do not make {recipe.train.accumulate} equal micro-batches",
                )
            )
    budget = recipe.train.budget
    if budget is not None and budget.measure == "seconds" and len(recipe.train.stages) > 1:
        problems.append(
            Problem("train.budget", "a time budget cannot be shared out to stages; give steps or tokens")
        )
    return problems


def check_model(recipe: Recipe, model: Block) -> list[Problem]:
    """What of a model, named in the recipe or found where it starts from, does not go with the rest."""
    module = registry.load("objectives", str(recipe.objective.model_dump()["name"]), "config")
    problems: list[Problem] = module.check(recipe.objective, model)
    positions = getattr(model, "positions", None)
    for index, stage in enumerate(recipe.train.plan()):
        if positions is not None and stage.length > positions:
            where = f"train.stages.{index}.length" if recipe.train.stages else "train.length"
            text = f"{stage.length} tokens are more than model.positions ({positions})"
            problems.append(Problem(where, text))
    return problems


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Carry the recipe out, or with --dry-run say what it would take."""
    if "WORLD_SIZE" not in os.environ:  # before torch is imported; ranks ask again, one for all
        folder.claim(Path(recipe.out), resume=options.resume, overwrite=options.overwrite)
    from nlptool.commands import pretraining

    if options.dry_run:
        pretraining.dry_run(recipe, console, as_json=options.json)
    else:
        pretraining.run(recipe, options, console)
