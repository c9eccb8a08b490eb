"""Commands that ask a trained model something."""

from pathlib import Path
from typing import Annotated

import typer

from nlptool.cli.app import (
    ASK,
    Changes,
    DryRun,
    Json,
    Overwrite,
    Replace,
    SuiteData,
    SuiteName,
    app,
    console,
    is_change,
    refuse_flags,
)
from nlptool.cli.training import Row, run_recipe
from nlptool.errors import UsageError

PROMPT = Row("prompt", "prompt", ASK, "Ask models tasks by text, with no, one or a few examples.")


@app.command("fill-mask", rich_help_panel=ASK)
def fill_mask(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A Hugging Face folder, e.g. a run's final, or a hub id.")
    ],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts with [MASK] in them.")],
    number: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Guesses per mask.")] = 5,
    as_json: Json = False,
) -> None:
    """Show the likeliest words under each [MASK]."""
    from nlptool.commands import fill_mask as command

    command.run(model, texts, number, as_json=as_json, console=console())


@app.command("evaluate", rich_help_panel=ASK)
def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Hugging Face folders, or hub ids.")
    ],
    tokens: Annotated[
        Path | None,
        typer.Option("--tokens", metavar="STORE", help="A token store, whose held-out text is foreseen."),
    ] = None,
    characters: Annotated[
        int,
        typer.Option(
            "--characters",
            min=1,
            metavar="N",
            help="Of each document, from its beginning. A masked model "
            "reads a window once for each of its tokens.",
        ),
    ] = 4000,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FOLDER", help="Minimal pairs to score: BLiMP's JSON lines."),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, metavar="N", help="Pairs of each file.")] = 1000,
    suite: SuiteName = None,
    data: SuiteData = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Also write Markdown and JSON here.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="auto", help="Keep what the folder holds of a suite, and go on."),
    ] = None,
    overwrite: Replace = False,
    as_json: Json = False,
) -> None:
    """Measure bits per byte, perplexity, grammar and fine-tuned tasks of models."""
    from nlptool.commands import evaluate as command
    from nlptool.console import Options

    questions = command.Questions(tokens, characters, pairs, most, suite, data)
    folder = None if out is None else str(out)
    options = Options(out=folder, resume=resume, overwrite=overwrite, dry_run=False, json=as_json)
    command.run(models, questions, options, console())


@app.command(
    PROMPT.name,
    help=PROMPT.help,
    rich_help_panel=PROMPT.group,
    epilog="E.g. nlptool prompt prompt/grammar models=runs/demo/final data=FOLDER. All keys: nlptool schema prompt.",
    context_settings={"ignore_unknown_options": True},
)
def prompt(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")
    ] = None,
    changes: Changes = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Output folder; the recipe's key out."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="auto", help="Keep what the output folder holds of answers."),
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask models tasks by text, with no, one or a few examples."""
    refuse_flags([*([recipe] if recipe else []), *(changes or ())])
    if recipe is None or is_change(recipe):
        raise UsageError(
            "no recipe that says what is asked",
            hint="e.g. nlptool prompt prompt/grammar models=MODEL data=FOLDER; nlptool recipes ls lists them",
        )
    from nlptool.console import Options

    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    run_recipe(PROMPT, recipe, changes or [], options)
