"""The command line: which commands there are, and how what they raise is shown.

Thin, and lazy: a command's module is imported when it is called, so `--help` needs nothing heavy.
"""

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from nlptool import __version__
from nlptool.errors import DataError, NlptoolError, UsageError

if TYPE_CHECKING:
    from nlptool.console import Console, Options


class Row(NamedTuple):
    """A command that carries out a recipe."""

    name: str
    module: str
    """In nlptool.commands: Recipe, check(recipe, name) -> problems, run(recipe, options, console)."""
    group: str
    help: str


DATA, TRAIN, RUNS, LOOK = "From text to tokens", "Training", "Runs and machines", "Recipes"
COMMANDS = (
    Row("tokenize", "tokenize", DATA, "Read text, train or load a tokenizer, write a token store."),
    Row("pretrain-mlm", "pretrain", TRAIN, "Pretrain BERT as a masked language model."),
    Row("pretrain-sop", "pretrain", TRAIN, "Pretrain ALBERT with sentence order."),
    Row("pretrain-electra", "pretrain", TRAIN, "Pretrain ELECTRA to detect replaced tokens."),
    Row("pretrain-clm", "pretrain", TRAIN, "Pretrain GPT-2 as a causal language model."),
    Row("finetune", "finetune", TRAIN, "Fine-tune a pretrained net on a labelled task."),
)
FLAGS = ("--out", "-o", "--resume", "--overwrite", "--dry-run", "--json", "--help")
INTERRUPTED, CLOSED_PIPE = 130, 141  # as shells count signals
STATEMENTS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE)


class Groups(TyperGroup):
    """Lists the commands under the headings of `rich_help_panel`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section a heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            heading = getattr(command, "rich_help_panel", None)
            rows = sections.setdefault(heading if isinstance(heading, str) else "Commands", [])
            rows.append((name, (command.help or "").strip().partition("\n")[0] if command else ""))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=16)


app = typer.Typer(
    cls=Groups,
    name="nlptool",
    help="Pretrain, compress and evaluate small language models.",
    epilog="A command takes a recipe and changes to it: nlptool pretrain-mlm recipe.yaml train.lr=3e-4",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # typer's panels cost 140 ms of imports
    context_settings={"help_option_names": ["-h", "--help"]},
)
recipes = typer.Typer(
    help="List, show or copy the recipes that come with nlptool.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(recipes, name="recipes", rich_help_panel=LOOK)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns the exit code. Without `arguments`, those of the process."""
    try:
        code = app(args=arguments, prog_name="nlptool", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # which typer has made of KeyboardInterrupt
            _console().note("interrupted")
        return code if isinstance(code, int) else 0
    except NlptoolError as error:
        return _fail(error)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            _console().note(error.format_message())
            return 2
        return _fail(_usage(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in it goes nowhere
        return CLOSED_PIPE
    except OSError as error:
        if error.errno not in STATEMENTS:
            return _fail(_defect(error))
        return _fail(DataError(f"{error.filename or 'operating system'}: {error.strerror}"))
    except Exception as error:
        return _fail(_defect(error))


def _recipe_command(row: Row) -> Callable[..., None]:
    def command(
        recipe: Annotated[
            str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")
        ],
        changes: Annotated[
            list[str] | None,
            typer.Argument(metavar="KEY=VALUE | ~KEY", help="Set a key, e.g. train.lr=3e-4, or remove one."),
        ] = None,
        out: Annotated[
            str | None,
            typer.Option("--out", "-o", metavar="FOLDER", help="Output folder; the recipe's key out."),
        ] = None,
        resume: Annotated[
            str | None,
            typer.Option(
                "--resume",
                metavar="auto|PATH",
                help="Go on with what the output folder holds, if anything, or with a run or checkpoint.",
            ),
        ] = None,
        overwrite: Annotated[
            bool, typer.Option("--overwrite", help="Start again in an output folder that holds something.")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Check everything, say what it would take, do nothing.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    ) -> None:
        _refuse_flags([recipe, *(changes or ())])
        from nlptool.console import Options

        options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
        _run(row.name, import_module(f"nlptool.commands.{row.module}"), recipe, changes or [], options)

    return command


def _run(name: str, command: ModuleType, recipe: str, changes: list[str], options: "Options") -> None:
    """Read and check the recipe, then hand it to the command."""
    from nlptool.recipe import load, shelf

    path = shelf.find(recipe)
    folder = [] if options.out is None else [f"out={json.dumps(options.out)}"]
    loaded = load(path, [*changes, *folder], command.Recipe)
    loaded.require(command.check(loaded.recipe, name))
    command.run(loaded.recipe, options, _console())


for row in COMMANDS:
    app.command(
        row.name,
        help=row.help,
        rich_help_panel=row.group,
        epilog=f"All keys: nlptool schema {row.name}. Examples: nlptool recipes ls.",
        context_settings={"ignore_unknown_options": True},
    )(_recipe_command(row))


@app.command(
    "compare",
    rich_help_panel=TRAIN,
    epilog="E.g. nlptool compare recipes/compare/*.yaml tokens=runs/tokens train.budget='2e14 flops'",
    context_settings={"ignore_unknown_options": True},
)
def compare(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE... [KEY=VALUE | ~KEY]...", help="Pretraining recipes; changes to all."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where to; runs/compare when not given."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FOLDER", help="Minimal pairs to score: BLiMP's JSON lines."),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, metavar="N", help="Pairs of each file.")] = 100,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="auto", help="Go on with what the output folder holds, if anything."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start again in an output folder that holds something.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what it would take, do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train several recipes on the same tokens and budget, score them, write one table and picture."""
    _refuse_flags(arguments)
    recipes = [a for a in arguments if not _changes(a)]
    from nlptool.commands import compare as command
    from nlptool.console import Options

    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    probes = command.Probes(pairs, most)
    command.run(recipes, [a for a in arguments if _changes(a)], probes, options, _console())


@app.command(
    "plan",
    rich_help_panel=TRAIN,
    epilog="E.g. nlptool plan demo/bert train.batch=256",
    context_settings={"ignore_unknown_options": True},
)
def plan(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Of pretraining: a YAML file, or a shipped recipe's name.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE | ~KEY", help="Set a key, e.g. train.batch=64, or remove one."),
    ] = None,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Take no steps to see how long one is.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say what a pretraining run would take: memory, disk and time, here."""
    _refuse_flags([recipe, *(changes or ())])
    from nlptool.commands import plan as command

    command.run(recipe, changes or [], probe=not no_probe, as_json=as_json, console=_console())


@app.command("export", rich_help_panel=RUNS)
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    to: Annotated[str, typer.Option("--to", metavar="hf", help="Format: Hugging Face transformers.")] = "hf",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Where to; RUN/hf when not given.")
    ] = None,
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", metavar="NAME", help="newest, best or e.g. step-00001000.")
    ] = "newest",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
) -> None:
    """Write a checkpoint of a run as a folder that transformers loads."""
    if to != "hf":
        raise UsageError(f"--to {to}: no such format", hint="--to hf is the one there is")
    from nlptool.commands import export as command

    command.run(run, out or run / "hf", checkpoint, overwrite=overwrite, console=_console())


@app.command("report", rich_help_panel=RUNS)
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders to show side by side.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where to; report when not given.")
    ] = Path("report"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Draw the curves of runs and compare them, as a page and as pictures."""
    from nlptool.commands import report as command

    command.run(runs, out, overwrite=overwrite, as_json=as_json, console=_console())


@app.command("doctor", rich_help_panel=RUNS)
def doctor(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run folder to check.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check this machine, or a run folder."""
    from nlptool.commands import doctor as command

    command.run(run, as_json=as_json, console=_console())


@app.command("fill-mask", rich_help_panel=RUNS)
def fill_mask(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A Hugging Face folder, e.g. a run's final.")
    ],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts with [MASK] in them.")],
    number: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Guesses per mask.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the likeliest words under each [MASK]."""
    from nlptool.commands import fill_mask as command

    command.run(model, texts, number, as_json=as_json, console=_console())


@app.command(
    "schema",
    rich_help_panel=LOOK,
    epilog="In a recipe's first line: # yaml-language-server: $schema=FILE",
)
def schema(
    command: Annotated[str | None, typer.Argument(metavar="COMMAND", help="A command with a recipe.")] = None,
) -> None:
    """Print the JSON schema of a command's recipe, with which editors complete and check it."""
    from nlptool.commands import schema as schemas

    names = [row.name for row in COMMANDS]
    if command is None:
        _console().result("\n".join(names))
        return
    row = next((row for row in COMMANDS if row.name == command), None)
    if row is None:
        close = get_close_matches(command, names, 1)
        hint = f"did you mean {close[0]}?" if close else f"those with a recipe: {', '.join(names)}"
        raise UsageError(f"no command {command}", hint=hint)
    schemas.run(row.name, import_module(f"nlptool.commands.{row.module}").Recipe, _console())


@recipes.command("ls")
def recipes_ls(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """List the recipes, each with its first line."""
    from nlptool.commands import recipes as shelf

    shelf.ls(_console(), as_json=as_json)


@recipes.command("show")
def recipes_show(name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. bert/base.")]) -> None:
    """Print a recipe."""
    from nlptool.commands import recipes as shelf

    shelf.show(name, _console())


@recipes.command("cp")
def recipes_cp(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. bert/base.")],
    target: Annotated[Path, typer.Argument(metavar="DEST", help="A new file, or a folder.")],
) -> None:
    """Copy a recipe, to change it; nothing is overwritten."""
    from nlptool.commands import recipes as shelf

    shelf.cp(name, target, _console())


def _changes(argument: str) -> bool:
    """Whether an argument is a change to a recipe, not its name."""
    return argument.startswith("~") or "=" in argument


def _print_version(wanted: bool) -> None:
    if wanted:
        _console().result(f"nlptool {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _refuse_flags(arguments: Sequence[str]) -> None:
    """Options that do not exist come through as arguments; say what was meant."""
    for index, argument in enumerate(arguments):
        if argument.startswith("-"):
            name, equals, value = argument.lstrip("-").partition("=")
            close = get_close_matches(argument, FLAGS, 1)
            if "." not in name and close:
                raise UsageError(f"no option {argument}", hint=f"did you mean {close[0]}?")
            after = arguments[index + 1] if index + 1 < len(arguments) else "..."
            raise UsageError(
                f"no option {argument}",
                hint=f"keys of the recipe are set without dashes: {name}={value if equals else after}",
            )


def _usage(error: typer.TyperException) -> UsageError:
    """What the option parser says, in our form."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nlptool"
    return UsageError(error.format_message().rstrip("."), hint=f"{path} --help says what it takes")


def _defect(error: BaseException) -> NlptoolError:
    """An exception that nothing foresaw; its traceback goes to a file."""
    import tempfile
    import traceback

    if os.environ.get("NLPTOOL_DEBUG"):
        traceback.print_exception(error)
    with tempfile.NamedTemporaryFile(
        "w", prefix="nlptool-", suffix=".txt", delete=False, encoding="utf8"
    ) as file:
        file.write(f"nlptool {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
        traceback.print_exception(error, file=file)
    first = str(error).strip().partition("\n")[0]
    return NlptoolError(
        f"this is a defect of nlptool: {type(error).__name__}: {first}",
        hint=f"please report it with the traceback in {file.name}",
    )


def _fail(error: NlptoolError) -> int:
    _console().error(error)
    return error.exit_code


def _console() -> "Console":
    from nlptool.console import Console

    return Console()
