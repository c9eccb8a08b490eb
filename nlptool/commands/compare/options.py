"""`nlptool compare RECIPE ...`: the same corpus and the same budget for several recipes, then one table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nlptool.commands.pretrain import recipe as pretrain
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.suite import recipe as suite
from nlptool.console import Console, Options
from nlptool.errors import RecipeError, UsageError
from nlptool.recipe import catalog, load
from nlptool.runs import folder


class ComparedRun(NamedTuple):
    """One run of a comparison."""

    name: str
    recipe: Recipe


class EvaluationOptions(NamedTuple):
    """What is asked of every checkpoint, and of what every run ends with."""

    pairs: Path | None
    """A folder of minimal pairs, JSON lines; None: they are not asked."""
    most: int
    """Pairs of each file."""
    suite: str | None
    """Tasks that the result of every run is fine-tuned on: the path or name of a suite."""
    data: str | None
    """The rows of these tasks, in place of the suite's own."""


def run(
    recipes: Sequence[str],
    changes: Sequence[str],
    probes: EvaluationOptions,
    options: Options,
    console: Console,
) -> None:
    """Train what is not trained yet, probe every checkpoint, write and show the table and the picture."""
    folder.require_auto(options.resume)
    out = Path(options.out or "runs/compare")
    entries = read(recipes, changes, out, console)
    require_equal(entries)
    exams = suite.read(probes.suite, probes.data) if probes.suite is not None else None
    from nlptool.commands.compare import run as comparing

    if options.dry_run:
        folder.prepare_output_folder(out, resume=options.resume, overwrite=options.overwrite, dry_run=True)
        comparing.dry_run(entries, console, as_json=options.json)
    else:
        comparing.run(entries, probes, exams, out, options, console)


def read(recipes: Sequence[str], changes: Sequence[str], out: Path, console: Console) -> list[ComparedRun]:
    """The recipes, each with all changes; each run gets a folder in `out`, named as its file.

    Raises RecipeError for what is wrong in one, UsageError for names that occur twice.
    """
    if not recipes:
        raise UsageError("no recipe to compare", hint="e.g. nlptool compare recipes/compare/*.yaml")
    entries = []
    for argument in recipes:
        path = catalog.find(argument)
        loaded = load(path, [*changes, f"out={json.dumps(str(out / path.stem))}"], Recipe)
        console.notes(loaded.source.notes)
        loaded.require(pretrain.check(loaded.recipe, loaded.recipe.command))
        entries.append(ComparedRun(path.stem, loaded.recipe))
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
        "tokens": [entry.recipe.tokens for entry in entries],
        "train.budget": [_budget(entry.recipe) for entry in entries],
    }.items():
        if len(set(values)) > 1:
            lines = "".join(
                f"\n  {entry.name}: {value}" for entry, value in zip(entries, values, strict=True)
            )
            raise RecipeError(
                f"the runs differ in {key}, so their scores could not be compared:{lines}",
                hint=f"give it to all of them: nlptool compare ... {key}=VALUE",
            )


def _budget(recipe: Recipe) -> str:
    """What a run may use: its budget, or where it counts steps the tokens in them."""
    train = recipe.train
    if train.budget is not None:
        return str(train.budget)
    assert train.steps is not None  # the recipe has one of the two
    tokens = sum(stage.share * stage.batch * stage.length for stage in train.plan())
    return f"{train.steps * tokens:.0f} tokens"
