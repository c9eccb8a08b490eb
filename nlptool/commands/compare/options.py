"""`nlptool compare RECIPE ...`: the same corpus and the same budget for several recipes, then one table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nlptool.commands.loading import load_checked
from nlptool.commands.pretrain import recipe as pretrain
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.suite import recipe as suite
from nlptool.commands.suite.recipe import ResolvedSuite
from nlptool.console import Console
from nlptool.errors import RecipeError, UsageError
from nlptool.recipe import catalog
from nlptool.train.config import PretrainConfig


class ComparedRun(NamedTuple):
    """One run of a comparison."""

    name: str
    recipe: Recipe


class EvaluationOptions(NamedTuple):
    """What every checkpoint, and the result of every run, is evaluated on."""

    minimal_pairs: Path | None
    """A folder of minimal pairs, JSON lines; None: none are scored."""
    limit: int
    """Pairs of each file."""
    suite: str | None
    """Tasks that the result of every run is fine-tuned on: the path or name of a suite."""
    data: str | None
    """The rows of these tasks, in place of the suite's own."""


class Comparison(NamedTuple):
    """What is compared, and where."""

    runs: list[ComparedRun]
    options: EvaluationOptions
    suite: ResolvedSuite | None
    out: Path


def resolve(
    recipes: Sequence[str], changes: Sequence[str], options: EvaluationOptions, out: Path, console: Console
) -> Comparison:
    """Everything that is read and checked before the first run. Raises RecipeError, UsageError."""
    runs = read(recipes, changes, out, console)
    require_equal(runs)
    return Comparison(
        runs, options, None if options.suite is None else suite.read(options.suite, options.data), out
    )


def read(recipes: Sequence[str], changes: Sequence[str], out: Path, console: Console) -> list[ComparedRun]:
    """The recipes, each with all changes; each run gets a folder in `out`, named as its file.

    Raises RecipeError for what is wrong in one, UsageError for names that occur twice.
    """
    if not recipes:
        raise UsageError("no recipe to compare", hint="e.g. nlptool compare recipes/compare/*.yaml")
    entries = []
    for argument in recipes:
        path = catalog.find(argument)
        given = [*changes, f"out={json.dumps(str(out / path.stem))}"]
        recipe = load_checked(path, given, Recipe, lambda it: pretrain.check(it, it.command), console)
        entries.append(ComparedRun(path.stem, recipe))
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"two recipes are called {', '.join(twice)}",
            hint="a run is named after its recipe's file; rename one",
        )
    return entries


def require_equal(entries: Sequence[ComparedRun]) -> None:
    """Raise RecipeError unless all runs read the same tokens for the same budget."""
    for key, values in {
        "store": [entry.recipe.store for entry in entries],
        "train.budget": [_budget(entry.recipe.train) for entry in entries],
    }.items():
        if len(set(values)) > 1:
            lines = "".join(
                f"\n  {entry.name}: {value}" for entry, value in zip(entries, values, strict=True)
            )
            raise RecipeError(
                f"the runs differ in {key}, so their scores could not be compared:{lines}",
                hint=f"give it to all of them: nlptool compare ... {key}=VALUE",
            )


def _budget(train: PretrainConfig) -> str:
    """What a run may use: its budget, or where it counts steps the tokens in them."""
    if train.budget is not None:
        return str(train.budget)
    assert train.steps is not None  # the recipe has one of the two
    tokens = sum(stage.share * stage.batch_size * stage.sequence_length for stage in train.plan())
    return f"{train.steps * tokens:.0f} tokens"
