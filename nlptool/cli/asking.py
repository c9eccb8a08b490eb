"""Commands that ask a trained model something."""

from typing import Annotated

import typer

from nlptool.cli.app import ASK, Json, app, console


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
