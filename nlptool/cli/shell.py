"""Commands about the command line: help, and completion for shells."""

from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any, Literal

import typer
import typer.main

from nlptool.cli.app import app, console
from nlptool.commands.specs import COMMANDS, LOOK
from nlptool.errors import UsageError


@app.command(
    "help",
    rich_help_panel=LOOK,
    epilog="E.g. nlptool help pretrain-mlm; nlptool help pretrain-mlm train; nlptool help finetune train.lr",
)
def help_(
    command: Annotated[
        str | None, typer.Argument(metavar="COMMAND", help="Any command; all are listed if none is given.")
    ] = None,
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="A key of its recipe, or a block of keys.")
    ] = None,
) -> None:
    """Explain a command, or a key of its recipe."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("nlptool", [], resilient_parsing=True)
    if command is None:
        console().result(group.get_help(context))
        return
    one = group.get_command(context, command)
    if one is None:
        close = get_close_matches(command, group.commands, 1)
        raise UsageError(
            f"no command {command}", hint=f"did you mean {close[0]}?" if close else "nlptool help lists all"
        )
    if key is not None:
        spec = next((spec for spec in COMMANDS if spec.name == command), None)
        if spec is None:
            raise UsageError(f"{command} takes no recipe", hint=f"nlptool help {command} says what it takes")
        from nlptool.commands import key_help

        key_help.run(command, import_module(f"nlptool.commands.{spec.module}.recipe").Recipe, key, console())
        return
    console().result(one.get_help(one.make_context(command, [], parent=context, resilient_parsing=True)))


@app.command(
    "completion",
    rich_help_panel=LOOK,
    epilog="bash: source <(nlptool completion bash). zsh, after compinit: source <(nlptool completion zsh). "
    "fish: nlptool completion fish | source",
)
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="bash|zsh|fish")],
    line: Annotated[str | None, typer.Option("--line", hidden=True)] = None,
) -> None:
    """Print a shell script that completes commands, options, recipes, keys and values."""
    from nlptool.cli import completion as command

    if line is None:
        console().result(command.SCRIPTS[shell].rstrip())
        return
    for word in command.reply(shell, line, typer.main.get_command(app)):
        console().piece(word + "\n")
