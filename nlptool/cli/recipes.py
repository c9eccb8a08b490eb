"""Commands on recipes: list, show, copy, and the JSON schema of their keys."""

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from nlptool.cli.app import Json, app, console
from nlptool.commands.specs import COMMANDS, LOOK
from nlptool.errors import UsageError

TASK = "task"
"""The argument of `schema` for files of labelled tasks; it is not a command."""

recipes = typer.Typer(
    help="List, show or copy the recipes that come with nlptool.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(recipes, name="recipes", rich_help_panel=LOOK)


@app.command(
    "schema",
    rich_help_panel=LOOK,
    epilog="In a recipe's first line: # yaml-language-server: $schema=FILE",
)
def schema(
    command: Annotated[
        str | None,
        typer.Argument(
            metavar="COMMAND", help="A command with a recipe; or task, for files of labelled tasks."
        ),
    ] = None,
) -> None:
    """Print the JSON schema of a command's recipe, for completion and checks in editors."""
    from nlptool.commands import schema as schemas

    names = [*(spec.name for spec in COMMANDS), TASK]
    if command == TASK:
        schemas.run_task(console())
        return
    if command is None:
        console().result("\n".join(names))
        return
    spec = next((spec for spec in COMMANDS if spec.name == command), None)
    if spec is None:
        close = get_close_matches(command, names, 1)
        hint = f"did you mean {close[0]}?" if close else f"those with a recipe: {', '.join(names)}"
        raise UsageError(f"no command {command}", hint=hint)
    schemas.run(spec.name, import_module(f"nlptool.commands.{spec.module}.recipe").Recipe, console())


@recipes.command("ls")
def recipes_ls(
    room: Annotated[
        str | None,
        typer.Argument(metavar="FOLDER", help="Only this folder: bert, tasks, prompted-tasks and so on."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the recipes with a line on each."""
    from nlptool.commands import recipes as command

    command.ls(room, console(), as_json=as_json)


@recipes.command("show")
def recipes_show(name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. bert/base.")]) -> None:
    """Print a recipe."""
    from nlptool.commands import recipes as command

    command.show(name, console())


@recipes.command("cp")
def recipes_cp(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. bert/base.")],
    target: Annotated[Path, typer.Argument(metavar="DEST", help="A new file, or a folder.")],
) -> None:
    """Copy a recipe, to change it; nothing is overwritten."""
    from nlptool.commands import recipes as command

    command.cp(name, target, console())
