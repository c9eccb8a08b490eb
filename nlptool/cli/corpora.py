"""The command that makes a corpus, which shards of one job may carry out together."""

from pathlib import Path
from typing import Annotated

import typer

from nlptool.cli.app import (
    Changes,
    DryRun,
    Json,
    OutFolder,
    Overwrite,
    RecipeName,
    app,
    carry_out,
    prepare,
    refuse_flags,
)
from nlptool.cli.training import loaded_recipe
from nlptool.commands.specs import COMMANDS
from nlptool.errors import UsageError

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
    recipe: RecipeName,
    changes: Changes = None,
    out: OutFolder = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="auto", help="Keep what the output folder holds, and do the rest."),
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
) -> None:
    """Filter and deduplicate text to pretrain on."""
    refuse_flags([recipe, *(changes or ())])
    from nlptool.commands.corpus import recipe as light
    from nlptool.console import Options

    if shard is not None and overwrite:
        raise UsageError("--shard and --overwrite contradict each other", hint="remove the folder first")
    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    given = [*(changes or []), *([f"workers={workers}"] if workers else [])]
    loaded = loaded_recipe(CORPUS, recipe, given, options)
    work = light.Work(loaded, light.shard_of(shard))
    if shard is None:
        prepare(Path(loaded.out), options, loaded)
    carry_out(CORPUS.module, work, options)
