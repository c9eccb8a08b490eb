"""`nlptool compare RECIPE ...`: trains several recipes on the same corpus and budget, and compares them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nlptool.commands.compare import sweep
from nlptool.commands.loading import load_checked
from nlptool.commands.pretrain import recipe as pretrain
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.suite import recipe as suite
from nlptool.commands.suite.recipe import ResolvedSuite
from nlptool.console import Console
from nlptool.errors import RecipeError, UsageError
from nlptool.recipe import catalog
from nlptool.train.config import PretrainConfig

RESULT = "compare.json"
"""The file of all results in the output folder."""


class ComparedRun(NamedTuple):
    """One run of a comparison."""

    name: str
    """Name of the recipe's file, or the values that vary; runs of one name differ in their seeds."""
    recipe: Recipe
    values: dict[str, str] = {}  # noqa: RUF012  (never changed)
    """Varied keys with their values as written."""
    seeds: int = 1
    """Number of runs of this name."""

    @property
    def title(self) -> str:
        """Title in messages."""
        return self.name if self.seeds == 1 else f"{self.name}, seed {self.recipe.seed}"


class EvaluationOptions(NamedTuple):
    """Evaluations of every checkpoint, and of the result of every run."""

    minimal_pairs: Path | None
    """A folder of minimal pairs, JSON lines; None: none are scored."""
    limit: int
    """Pairs of each file."""
    suite: str | None
    """A suite, by path or name, on which the result of every run is fine-tuned."""
    data: str | None
    """The rows of these tasks, in place of the suite's own."""


class Comparison(NamedTuple):
    """Recipes to compare, and the output folder."""

    runs: list[ComparedRun]
    options: EvaluationOptions
    suite: ResolvedSuite | None
    out: Path


class Sweep(NamedTuple):
    """What varies besides the recipes."""

    vary: tuple[str, ...] = ()
    """`KEY=V1,V2`, of one recipe."""
    seeds: int | None = None
    """Runs of each recipe or combination, with the seeds 0, 1, ...; None: one, with the recipe's own."""


def resolve(
    recipes: Sequence[str],
    changes: Sequence[str],
    options: EvaluationOptions,
    out: Path,
    console: Console,
    varied: Sweep = Sweep(),  # noqa: B008  (never changed)
) -> Comparison:
    """Read and check everything before the first run. Raises RecipeError, UsageError."""
    runs = read(recipes, changes, out, console, varied)
    require_equal(runs)
    return Comparison(
        runs, options, None if options.suite is None else suite.read(options.suite, options.data), out
    )


def read(
    recipes: Sequence[str],
    changes: Sequence[str],
    out: Path,
    console: Console,
    varied: Sweep = Sweep(),  # noqa: B008  (never changed)
) -> list[ComparedRun]:
    """The recipes, each with all changes, values and seeds; each run gets a folder in `out`.

    Folders are named after the recipe's file, or in a sweep after the values that vary; seeds are subfolders. Raises
    RecipeError for an invalid recipe, UsageError for duplicate names and sweeps that compare nothing.
    """
    if not recipes:
        raise UsageError("no recipe to compare", hint="e.g. nlptool compare recipes/compare/*.yaml")
    if varied.seeds is not None and any(change.lstrip("~").partition("=")[0] == "seed" for change in changes):
        raise UsageError("--seeds and seed=... contradict each other", hint="give one of them")
    variations = sweep.read(varied.vary)
    if variations and len(recipes) > 1:
        raise UsageError(
            f"--vary varies one recipe; there are {len(recipes)}",
            hint="compare the recipes without it, or sweep one at a time",
        )
    if note := sweep.remark(variations):
        console.note(note)
    several = varied.seeds is not None
    entries: list[ComparedRun] = []
    for argument in recipes:
        path = catalog.find(argument)
        if variations:
            for cell in sweep.cells(variations):
                recipe = _load(path, [*changes, *cell.changes], out / cell.folder, console)
                entries += _seeds(ComparedRun(cell.name, recipe, cell.values), varied.seeds, below=True)
        else:
            recipe = _load(path, changes, out / path.stem, console)
            entries += _seeds(ComparedRun(path.stem, recipe), varied.seeds, below=several)
    _require_different(entries)
    return entries


def _load(path: Path, changes: Sequence[str], out: Path, console: Console) -> Recipe:
    given = [*changes, f"out={json.dumps(str(out))}"]
    return load_checked(path, given, Recipe, lambda it: pretrain.check(it, it.command), console)


def _seeds(entry: ComparedRun, seeds: int | None, *, below: bool) -> Iterator[ComparedRun]:
    """The run with each seed. below: in subfolders, so that runs with more seeds reuse existing ones."""
    for seed in range(seeds) if seeds is not None else [entry.recipe.seed]:
        out = Path(entry.recipe.out, f"seed-{seed}" if below else "")
        recipe = entry.recipe.model_copy(update={"seed": seed, "out": str(out)})
        yield entry._replace(recipe=recipe, seeds=seeds or 1)


def _require_different(entries: Sequence[ComparedRun]) -> None:
    """Raise UsageError for runs of one name, and for equal values that are written differently."""
    names = [(entry.name, entry.recipe.seed) for entry in entries]
    twice = sorted({name for name, seed in names if names.count((name, seed)) > 1})
    if twice:
        raise UsageError(
            f"two recipes are called {', '.join(twice)}",
            hint="a run is named after its recipe's file; rename one",
        )
    varied = [(entry.name, entry.recipe.model_copy(update={"out": ""})) for entry in entries if entry.values]
    for at, (name, recipe) in enumerate(varied):
        same = next((other for other, seen in varied[:at] if seen == recipe), None)
        if same is not None:
            raise UsageError(f"{same} and {name} are the same run", hint="leave one of the values out")


def require_equal(entries: Sequence[ComparedRun]) -> None:
    """Raise RecipeError unless all runs read the same tokens for the same budget."""
    for key, values in {
        "store": [entry.recipe.store_text for entry in entries],
        "train.budget": [_budget(entry.recipe.train) for entry in entries],
    }.items():
        if len(set(values)) > 1:
            differing = dict.fromkeys(
                (entry.name, value) for entry, value in zip(entries, values, strict=True)
            )
            lines = "".join(f"\n  {name}: {value}" for name, value in differing)
            raise RecipeError(
                f"the runs differ in {key}, so their scores could not be compared:{lines}",
                hint=f"give it to all of them: nlptool compare ... {key}='{values[0]}'",
            )


def _budget(train: PretrainConfig) -> str:
    """The budget of a run; if it counts steps, their tokens."""
    if train.budget is not None:
        return str(train.budget)
    assert train.steps is not None  # the recipe has one of the two
    tokens = sum(stage.share * stage.batch_size * stage.sequence_length for stage in train.plan())
    return f"{train.steps * tokens:.0f} tokens"
