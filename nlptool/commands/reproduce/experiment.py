"""An experiment that tests a paper's claim at small scale, and its runs. Nothing heavy is imported.

A YAML in recipes/experiments/: `steps` are recipes with changes, run in their order; `arms` are the variants that
are compared; each arm is run with each seed, and runs common to several arms are run once.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from nlptool.commands.reproduce import expected_figures
from nlptool.commands.specs import COMMANDS, command_of
from nlptool.console import Console
from nlptool.errors import RecipeError, UsageError
from nlptool.formatting import duration
from nlptool.metric_table import describe
from nlptool.recipe import LoadedRecipe, catalog, load
from nlptool.recipe import digest as recipe_digest
from nlptool.recipe.extends import read
from nlptool.recipe.types import RecipeBlock

ROOM = "experiments"
KEPT = "runs.json"
"""The file of finished runs in the output folder."""
MODULES = {spec.name: spec.module for spec in COMMANDS}


class Step(RecipeBlock):
    """A run: a recipe with changes."""

    recipe: str = Field(description="a shipped recipe's name, or a file's path")
    set: tuple[str, ...] = Field(
        (), description="changes to it, as on a command line; {NAME} is the folder of the step NAME"
    )
    seeded: bool = Field(True, description="run it with each seed; false: once, with the recipe's own")


class Change(RecipeBlock):
    """How an arm differs in one step."""

    recipe: str | None = Field(
        None, description="another recipe in place of the step's; then none of its changes hold"
    )
    set: tuple[str, ...] = Field((), description="further changes")


class Measure(RecipeBlock):
    """A figure of a step."""

    step: str = Field(description="the step that it is read from")
    figure: str = Field(description="its name there, e.g. accuracy, mlm, sentence order, parameters")
    figures: dict[str, str] = Field({}, description="its name in arms where it is another figure of the step")
    better: Literal["higher", "lower"] | None = Field(
        None, description="which values are better; null: as the figure's own, higher where it has none"
    )

    def figure_of(self, arm: str) -> str:
        """The figure's name in this arm."""
        return self.figures.get(arm, self.figure)

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        direction = self.better or describe(self.figure).direction
        return -1 if direction == "lower" else 1


class Claim(RecipeBlock):
    """The paper's claim, as an order or equality of arms."""

    claim: str = Field(description="the claim in a sentence")
    measure: str = Field(description="the measure that it is about")
    order: tuple[str | float, ...] = Field(
        min_length=2, description="best first: arms, or a number such as chance"
    )
    within: float | None = Field(
        None, gt=0, description="not an order: neighbours differ by no more than this, to either side"
    )
    paper: tuple[float, ...] = Field((), description="the paper's figures, in the order of `order`")
    paper_measure: str = Field("", description="what these are")

    @model_validator(mode="after")
    def _one_figure_each(self) -> Self:
        if self.paper and len(self.paper) != len(self.order):
            raise ValueError("paper: as many figures as order has arms")
        return self


class Cost(RecipeBlock):
    """Cost of all runs."""

    minutes: float = Field(gt=0, description="minutes on the machine")
    flops: float = Field(gt=0, description="FLOPs of training")
    machine: str = Field(description="what and when this was measured on; or that it is an estimate")


class Experiment(RecipeBlock):
    """A paper's claims, the runs that test them at small scale, and their cost."""

    title: str = Field(description="what is compared")
    source: str = Field(description="paper and table")
    needs: Literal["cpu", "gpu"] = Field(
        "cpu", description="gpu: prepared, and refused on a machine without one"
    )
    requires: str | None = Field(None, description="packages or data beyond an ordinary installation")
    cost: Cost | None = Field(None, description="cost of all runs; null: unknown")
    seeds: int = Field(3, gt=0, description="runs of each arm, with the seeds 0, 1, ...")
    steps: dict[str, Step] = Field(min_length=1, description="runs of an arm, in their order")
    arms: dict[str, dict[str, Change]] = Field(
        min_length=1, description="what is compared, each by the steps in which it differs"
    )
    measures: dict[str, Measure] = Field(min_length=1, description="measures for comparing the arms")
    claims: tuple[Claim, ...] = Field(min_length=1, description="claims of the paper")
    note: str = Field("", description="how this departs from the paper")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for arm, changes in self.arms.items():
            if other := [step for step in changes if step not in self.steps]:
                raise ValueError(f"arms: {arm}: no step {other[0]}")
        for name, measure in self.measures.items():
            if measure.step not in self.steps:
                raise ValueError(f"measures: {name}: no step {measure.step}")
            if other := [arm for arm in measure.figures if arm not in self.arms]:
                raise ValueError(f"measures: {name}: no arm {other[0]}")
        for claim in self.claims:
            if claim.measure not in self.measures:
                raise ValueError(f"claims: no measure {claim.measure}")
            if other := [arm for arm in claim.order if isinstance(arm, str) and arm not in self.arms]:
                raise ValueError(f"claims: no arm {other[0]}")
        return self


class PlannedRun(NamedTuple):
    """One run, of one or several arms."""

    step: str
    arms: list[str]
    seed: int | None
    command: str
    recipe: str
    changes: tuple[str, ...]
    out: Path
    loaded: LoadedRecipe[Any]
    identity: str
    """Digest of its recipe, and of the runs that it builds on."""

    @property
    def module(self) -> str:
        """Its command's folder in nlptool.commands."""
        return MODULES[self.command]


class Plan(NamedTuple):
    """All runs of an experiment, each after those that it builds on."""

    experiment: Experiment
    name: str
    out: Path
    runs: list[PlannedRun]
    places: dict[tuple[str, int, str], Path]
    """The folder of each arm's, seed's and step's run."""


def names() -> dict[str, Path]:
    """The shipped experiments."""
    return catalog.shipped(ROOM)


def ls(console: Console, *, as_json: bool) -> None:
    """List the shipped experiments."""
    found = {name: load(path, (), Experiment).recipe for name, path in names().items()}
    if as_json:
        console.json({name: one.model_dump(mode="json") for name, one in found.items()})
        return
    rows = [
        [name, one.title, one.source, one.needs, "" if one.cost is None else duration(60 * one.cost.minutes)]
        for name, one in found.items()
    ]
    console.table(("name", "what is compared", "paper", "needs", "time"), rows)


def open_experiment(name: str, changes: Sequence[str]) -> Experiment:
    """An experiment by its name or path. Raises RecipeError."""
    return load(catalog.find(name, ROOM), changes, Experiment).recipe


def plan(experiment: Experiment, name: str, out: Path) -> Plan:
    """The runs of an experiment; those common to several arms appear once.

    Raises RecipeError for an invalid recipe, UsageError for one without a command, for an unknown figure and for a
    folder whose name cannot be written in a recipe.
    """
    if sign := re.search(r"[][{},'\"#]|: ", str(out)):
        raise UsageError(
            f"--out {out}: the folder's name stands in values of recipes, so it may not hold {sign[0].strip()}",
            hint="choose another --out",
        )
    runs: dict[str, PlannedRun] = {}
    places: dict[tuple[str, int, str], Path] = {}
    for arm, changed in experiment.arms.items():
        for seed in range(experiment.seeds):
            done: dict[str, PlannedRun] = {}
            for step, block in experiment.steps.items():
                planned = _planned(step, _with(block, changed.get(step)), arm, seed, done, out)
                known = runs.setdefault(planned.identity, planned)
                if arm not in known.arms:
                    known.arms.append(arm)
                done[step] = known
                places[arm, seed, step] = known.out
    planned_runs = {one.out: one for one in runs.values()}
    for measure_name, measure in experiment.measures.items():
        for arm in experiment.arms:
            run = planned_runs[places[arm, 0, measure.step]]
            expected_figures.require(measure_name, measure.figure_of(arm), run.command, run.loaded.recipe)
    return Plan(experiment, name, out, list(runs.values()), places)


def _with(step: Step, change: Change | None) -> Step:
    if change is None:
        return step
    base = () if change.recipe else step.set
    return step.model_copy(update={"recipe": change.recipe or step.recipe, "set": (*base, *change.set)})


def _planned(
    name: str, step: Step, arm: str, seed: int, done: Mapping[str, PlannedRun], out: Path
) -> PlannedRun:
    path = catalog.find(step.recipe)
    command = command_of(read(path).data)
    if command is None:
        raise UsageError(
            f"{step.recipe}: no recipe of a command", hint="steps are recipes: nlptool recipes ls"
        )
    schema = import_module(f"nlptool.commands.{MODULES[command]}.recipe").Recipe
    changes = [_filled(change, done) for change in step.set]
    own = list(_seed(schema, seed)) if step.seeded else []
    above = [done[other].identity for other in done if any(f"{{{other}}}" in change for change in step.set)]
    try:
        loaded = load(path, [*changes, *own, "out=out"], schema)
    except RecipeError as error:
        message = error.message.replace("command line: ", "set: ")
        raise RecipeError(f"step {name} of {arm}: {message}", hint=error.hint) from None
    text = json.dumps([name, recipe_digest(loaded.recipe), above])
    place = out / "runs" / name / _plain(arm) / (f"seed-{seed}" if own or above else "")
    return PlannedRun(
        step=name,
        arms=[arm],
        seed=seed if own else None,
        command=command,
        recipe=step.recipe,
        changes=(*changes, *own),
        out=place,
        loaded=loaded,
        identity=hashlib.sha256(text.encode()).hexdigest(),
    )


def _filled(change: str, done: Mapping[str, PlannedRun]) -> str:
    """A change with the folders of earlier steps filled in."""
    for name, run in done.items():
        change = change.replace(f"{{{name}}}", str(run.out))
    return change


def _seed(schema: type[RecipeBlock], seed: int) -> Iterator[str]:
    if "seed" in schema.model_fields:
        yield f"seed={seed}"
    elif "seeds" in schema.model_fields:
        yield f"seeds=[{seed}]"


def _plain(arm: str) -> str:
    """An arm's name as a folder name."""
    plain = re.sub(r"[^\w.+-]+", "-", arm).strip("-")
    return plain or hashlib.sha256(arm.encode()).hexdigest()[:8]
