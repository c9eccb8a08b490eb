"""The command `corpus`, whose work may be divided into shards."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlptool.cli.app import Changes, DryRun, Json, OutFolder, Overwrite, app, carry_out, prepare, refuse_flags
from nlptool.cli.training import loaded_recipe
from nlptool.commands.specs import COMMANDS
from nlptool.errors import UsageError

if TYPE_CHECKING:
    from nlptool.commands.corpus.recipe import View

(CORPUS,) = (spec for spec in COMMANDS if spec.name == "corpus")


@app.command(
    CORPUS.name,
    help=CORPUS.help,
    rich_help_panel=CORPUS.group,
    epilog="E.g. nlptool corpus demo/corpus --out runs/corpus, then nlptool tokenize demo/tokenize "
    "source.files=runs/corpus. All keys: nlptool schema corpus.",
    context_settings={"ignore_unknown_options": True},
)
def corpus(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A YAML file, or the name of a shipped recipe; with --show also a corpus."
        ),
    ],
    changes: Changes = None,
    out: OutFolder = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="auto", help="Resume: keep what the output folder holds."),
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, metavar="N", help="Processes; the recipe's key workers."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Filter the I-th of N parts only, as one task of an array job; a last run without it writes.",
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            min=1,
            metavar="N",
            help="Try the recipe on about N documents and print the report; write nothing.",
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the report of a finished corpus; write nothing.")
    ] = False,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            metavar="RULE",
            help="With --show or --sample: one rule, e.g. gopher_quality.min_words, its figures and samples.",
        ),
    ] = None,
    urls: Annotated[
        bool,
        typer.Option(
            "--urls", help="Print the URLs that the block links keeps, for a crawler; write nothing."
        ),
    ] = False,
    document: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="With --show: the effect of each block on one document."),
    ] = None,
) -> None:
    """Filter and deduplicate text to pretrain on."""
    refuse_flags([recipe, *(changes or ())])
    from nlptool.commands.corpus import recipe as light
    from nlptool.console import Options

    view = _view(sample, show, rule, document)
    if urls and view is not None:
        raise UsageError("--urls accepts only a recipe and changes")
    view = light.View(urls=True) if urls else view
    if view is not None and (shard is not None or overwrite or resume is not None or dry_run):
        looking = "--show" if show else "--urls" if urls else "--sample"
        raise UsageError(f"{looking} only looks, and goes with --rule, --json and changes alone")
    if shard is not None and overwrite:
        raise UsageError("--shard and --overwrite contradict each other", hint="remove the folder first")
    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    given = [*(changes or []), *([f"workers={workers}"] if workers else [])]
    if show:
        recipe, given = _of_folder(recipe, given)
    loaded = loaded_recipe(CORPUS, recipe, given, options)
    work = light.Work(loaded, light.shard_of(shard), view)
    if shard is None and view is None:
        prepare(Path(loaded.out), options, loaded)
    carry_out(CORPUS.module, work, options)


def _view(sample: int | None, show: bool, rule: str | None, document: str | None) -> "View | None":
    """What to look at; None: nothing, the corpus is built. Raises UsageError."""
    from nlptool.commands.corpus.recipe import View

    if show and sample is not None:
        raise UsageError(
            "--show and --sample contradict each other", hint="--sample tries the recipe without a corpus"
        )
    if (rule is not None or document is not None) and not show and sample is None:
        raise UsageError(
            f"{'--rule' if rule else '--id'} requires --show", hint="nlptool corpus FOLDER --show"
        )
    if document is not None and (rule is not None or sample is not None):
        raise UsageError("--id requires --show")
    return View(sample, rule, document) if show or sample is not None else None


def _of_folder(given: str, changes: list[str]) -> tuple[str, list[str]]:
    """The recipe of a corpus folder, with the folder as `out`; another argument is a recipe already."""
    kept = Path(given) / "recipe.yaml"
    return (str(kept), [*changes, f"out={json.dumps(given)}"]) if kept.is_file() else (given, changes)
