"""The application, and the options shared by several commands."""

import os
from collections.abc import Sequence
from copy import copy
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from nlptool import __version__, launch
from nlptool.commands.specs import HEADINGS, LOOK, RANKED
from nlptool.errors import UsageError

if TYPE_CHECKING:
    from nlptool.console import Console, Options
    from nlptool.recipe import RecipeBlock

FLAGS = ("--out", "-o", "--resume", "--overwrite", "--dry-run", "--json", "--help")

Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE | ~KEY", help="Set a key, e.g. train.lr=3e-4, or remove one."),
]
RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")
]
ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="A Hugging Face folder, e.g. a run's final, or a hub id.")
]
OutFolder = Annotated[
    str | None,
    typer.Option("--out", "-o", metavar="FOLDER", help="Output folder; the recipe's key out."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Start again in an output folder that is not empty.")
]
Replace = Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Check everything and report what the run would take; write nothing."),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        metavar="N",
        help="Rows per batch, by default as many as have some thousand tokens; it changes no result.",
    ),
]
OnError = Annotated[
    Literal["stop", "skip"],
    typer.Option("--on-error", help="For a row that cannot be read: stop there, or skip and count it."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

MinimalPairs = Annotated[
    Path | None,
    typer.Option("--minimal-pairs", metavar="FOLDER", help="Minimal pairs to score: BLiMP's JSON lines."),
]
SuiteName = Annotated[
    str | None,
    typer.Option(
        "--suite",
        metavar="SUITE",
        help="Tasks to fine-tune on or to prompt: a YAML file, or a shipped suite.",
    ),
]
SuiteData = Annotated[
    str | None,
    typer.Option("--data", metavar="FOLDER", help="Rows of tasks, a folder for each; else the hub."),
]


class Application(TyperGroup):
    """Lists the commands under the headings of `rich_help_panel`; all of them accept --quiet."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        quiet = copy(next(option for option in self.params if option.name == "quiet"))
        quiet.expose_value = False
        for command in self.commands.values():
            inner = getattr(command, "commands", {}).values()
            for one in inner or (command,):
                arguments: list[Any] = [param for param in one.params if param.param_type_name == "argument"]
                for argument in arguments:
                    argument.display_type_rich = _no_type
                    argument.get_usage_pieces = partial(_usage, argument)
                one.params.append(quiet)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each heading."""
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None:
                summary = (command.help or "").strip().partition("\n")[0]
                sections[str(getattr(command, "rich_help_panel", LOOK))].append((name, summary))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=16)


def _no_type(**_given: Any) -> None:
    """Argument metavars without Python's type: RECIPE, not RECIPE <str>."""


def _usage(argument: Any, _context: Any) -> list[str]:
    """An argument in the line of usage: RECIPE, [FILE|-], RUN...; typer writes {RUN...}..."""
    name = str(argument.metavar)
    if not argument.required and not name.startswith("["):
        name = f"[{name}]"
    return [name if argument.nargs == 1 or "..." in name else f"{name}..."]


app = typer.Typer(
    cls=Application,
    name="nlptool",
    help="Pretrain, compress and evaluate small language models.",
    epilog="A command takes a recipe and changes to it: nlptool pretrain-mlm recipe.yaml train.lr=3e-4",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # typer's panels cost 140 ms of imports
    context_settings={"help_option_names": ["-h", "--help"]},
)


def first_word(arguments: Sequence[str]) -> str | None:
    """The command of a command line, if it has one."""
    return next((argument for argument in arguments if not argument.startswith("-")), None)


def narrowed(name: str | None) -> typer.Typer:
    """The part of the application needed for a command line whose first word is `name`.

    typer derives the options of all commands from their functions, which is a third of the time of --help; a command
    needs only its own, and a list of commands none.
    """
    copied = copy(app)
    if name is None:
        copied.registered_commands = [_outline(info) for info in app.registered_commands]
    elif named := [info for info in app.registered_commands if info.name == name]:
        copied.registered_commands, copied.registered_groups = named, []
    return copied


def _outline(info: CommandInfo) -> CommandInfo:
    """A command as shown in a list."""
    copied = copy(info)
    copied.help, copied.callback = info.help or getdoc(info.callback), _nothing
    return copied


def _nothing() -> None:
    """Never called."""


class Manner:
    """The effect of --quiet and --json on output."""

    quiet = False
    """--quiet: no messages and no progress, only results and errors."""
    json = False
    """--json: an error is also a line of JSON on stdout, unless a result was printed."""
    console: "Console | None" = None
    """The console created last."""
    out: Path | None = None
    """The output folder, to which a failed write without a file name is attributed."""


def console() -> "Console":
    """The console, imported when something is printed."""
    from nlptool.console import Console

    Manner.console = Console(quiet=Manner.quiet)  # for the current streams, which a program may have replaced
    return Manner.console


def is_change(argument: str) -> bool:
    """Whether an argument changes a recipe, rather than naming one."""
    return argument.startswith("~") or "=" in argument


def renamed_option(command: str, option: str) -> str | None:
    """The current name of an option of an earlier version; None if it was not renamed."""
    from nlptool.recipe import renamed

    return renamed.OPTIONS.get(command, {}).get(option.partition("=")[0])


def refuse_flags(arguments: Sequence[str], command: str = "") -> None:
    """Raise UsageError for unknown options, which arrive as arguments, with a suggestion."""
    for index, argument in enumerate(arguments):
        if argument.startswith("-"):
            if now := renamed_option(command, argument):
                raise UsageError(f"{argument.partition('=')[0]} is now {now}")
            name, equals, value = argument.lstrip("-").partition("=")
            close = get_close_matches(argument, FLAGS, 1)
            if "." not in name and close:
                raise UsageError(f"no option {argument}", hint=f"did you mean {close[0]}?")
            after = arguments[index + 1] if index + 1 < len(arguments) else "..."
            raise UsageError(
                f"no option {argument}",
                hint=f"keys of the recipe are set without dashes: {name}={value if equals else after}",
            )


def prepare(
    out: Path, options: "Options", recipe: "RecipeBlock | None" = None, holds: str | None = None
) -> None:
    """Prepare the output folder before any heavy import; with several ranks, after they have joined."""
    Manner.out = out
    if "WORLD_SIZE" not in os.environ:
        from nlptool.runs import folder

        folder.prepare_output_folder(out, options, recipe=recipe, holds=holds)


def carry_out(module: str, value: Any, options: "Options") -> None:
    """Call `run` or `dry_run` of nlptool.commands.MODULE with a checked recipe or options."""
    half = import_module(f"nlptool.commands.{module}.run")
    (half.dry_run if options.dry_run else half.run)(value, options, console())


def work_alone(command: str) -> None:
    """Let rank 0 run a command that does not use several ranks; the other ranks exit."""
    this = launch.read(os.environ)
    if this.size == 1:
        return
    if this.rank:
        raise typer.Exit
    console().note(f"{command} has no use for {this.size} ranks: rank 0 works alone")
    launch.alone(os.environ)


def _keep_quiet(wanted: bool) -> None:
    Manner.quiet = Manner.quiet or wanted


def _print_version(wanted: bool) -> None:
    if wanted:
        console().result(f"nlptool {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", callback=_keep_quiet, help="Print results and errors; no messages, no progress."
        ),
    ] = False,
) -> None:
    if ctx.invoked_subcommand is not None and ctx.invoked_subcommand not in RANKED:
        work_alone(ctx.invoked_subcommand)
