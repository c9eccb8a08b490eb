"""Commands that ask a trained model something."""

from pathlib import Path
from typing import Annotated

import typer

from nlptool.cli.app import ASK, Json, Replace, app, console


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
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Also write Markdown and JSON here.")
    ] = None,
    overwrite: Replace = False,
    as_json: Json = False,
) -> None:
    """Measure bits per byte, perplexity and grammar of models, in one table."""
    from nlptool.commands import evaluate as command

    questions = command.Questions(tokens, characters, pairs, most)
    command.run(models, questions, out, overwrite=overwrite, as_json=as_json, console=console())
