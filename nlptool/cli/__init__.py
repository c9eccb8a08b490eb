"""The command line: dispatches to commands, and shows their errors.

A command's module is imported when it is called, so `--help` imports nothing heavy. `app` has what commands share;
`corpora`, `training`, `inference`, `runs` and `recipes` have the commands; `threads` sets how torch's threads wait.
"""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import typer

from nlptool import __version__, launch, notices
from nlptool.cli import corpora, inference, predict, recipes, runs, shell, signals, texts, threads, training
from nlptool.cli.app import Manner, app, console, first_word, narrowed, renamed_option
from nlptool.errors import DataError, NlptoolError, OtherRankFailed, Preempted, Reported, UsageError

__all__ = ["app", "corpora", "inference", "main", "predict", "recipes", "runs", "shell", "texts", "training"]

INTERRUPTED, CLOSED_PIPE = 130, 141  # exit code as in shells
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK = (*FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENOENT)
PATHS = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST)
ALLOCATION = "can't allocate memory"  # torch's message in a RuntimeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, and return the exit code. Without `arguments`, those of the process."""
    launch.raised_signals.clear()
    try:
        if arguments is None:
            signals.heed()
        # Otherwise pydantic scans the metadata of all installed packages: an eighth of the time of a broken recipe.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
        threads.share(os.environ)
        try:
            return _carry_out(sys.argv[1:] if arguments is None else arguments)
        finally:
            signals.ignore()
            if lock := sys.modules.get("nlptool.runs.lock"):
                lock.release()
            if ranks := sys.modules.get("nlptool.train.distributed"):
                ranks.leave()
    except KeyboardInterrupt:  # before the command, or after it
        return INTERRUPTED
    except signals.Ended as end:
        return end.exit_code


def _carry_out(arguments: Sequence[str]) -> int:
    Manner.quiet, Manner.json, Manner.console, Manner.out = False, "--json" in arguments, None, None
    notices.speak_by(_note)
    for argument in arguments:
        if any(
            "\ud800" <= sign <= "\udfff" for sign in argument
        ):  # Python's form of bytes that are not UTF-8
            return _fail(UsageError(f"the argument {ascii(argument)[1:-1]} is not UTF-8"))
    try:
        code = parser(first_word(arguments))(args=arguments, prog_name="nlptool", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # typer's form of KeyboardInterrupt
            console().note("interrupted")
        return code if isinstance(code, int) else 0
    except signals.Ended as end:
        console().note(f"ended by {end}")
        return end.exit_code
    except (NlptoolError, Preempted) as error:
        return _fail(error)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            console().note(error.format_message())
            return 2
        return _fail(_usage(error))
    except BrokenPipeError:
        return _closed()
    except SystemExit as stop:  # typer's form of a closed pipe within a command
        if isinstance(stop.__context__, BrokenPipeError):
            return _closed()
        raise
    except OSError as error:
        return _fail(_of_system(error))
    except MemoryError:
        return _fail(_too_large())
    except ValueError as error:
        no_path = "embedded null" in str(error)
        return _fail(UsageError("a path with a NUL character in it")) if no_path else _unexpected(error)
    except Exception as error:
        return _fail(_too_large()) if ALLOCATION in str(error) else _unexpected(error)


def _note(text: str) -> None:
    """Show a message of the core on the console of the running command."""
    (Manner.console or console()).note(text)


@cache
def parser(command: str | None) -> Callable[..., Any]:
    """The commands and options that a command line needs; typer derives them from function signatures each time.

    command: its first word, if it has one.
    """
    return typer.main.get_command(narrowed(command))


def _unexpected(error: Exception) -> int:
    """Show a defect, or the signal that caused it."""
    before = signals.behind(error)
    if isinstance(before, signals.Ended):
        console().note(f"ended by {before}")
        return before.exit_code
    return _fail(before if isinstance(before, Preempted) else _defect(error))


def _of_system(error: OSError) -> NlptoolError:
    """An error of the operating system, in one line."""
    name = str(error.filename or Manner.out or "a file")
    shown = name if len(name) <= 100 else f"{name[:97]}..."
    if error.errno in PATHS:
        return UsageError(f"{shown}: {error.strerror}", hint="choose another path")
    if error.errno in DISK:
        hint = "free some space; what was finished is kept" if error.errno in FULL else None
        return DataError(f"{shown}: {error.strerror}", hint)
    return _defect(error)


def _too_large() -> DataError:
    return DataError(
        "not enough memory on this machine",
        hint="nlptool plan RECIPE estimates the memory of a run; use a smaller model or batch, or more micro-batches",
    )


def _closed() -> int:
    """Exit when the reader of a pipe has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest of the output is discarded
    return CLOSED_PIPE


def _usage(error: typer.TyperException) -> UsageError:
    """An error of the option parser, in our form."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nlptool"
    option = getattr(error, "option_name", None)
    if isinstance(option, str) and (now := renamed_option(path.rpartition(" ")[2], option)):
        return UsageError(f"{option} is now {now}")
    return UsageError(error.format_message().rstrip("."), hint=f"{path} --help says what it takes")


def _defect(error: BaseException) -> NlptoolError:
    """An unexpected exception; its traceback goes to a file."""
    import tempfile
    import traceback

    if os.environ.get("NLPTOOL_DEBUG"):
        traceback.print_exception(error)
    written = "standard error (no file could be written)"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="nlptool-", suffix=".txt", delete=False, encoding="utf8", errors="backslashreplace"
        ) as file:
            file.write(f"nlptool {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
            traceback.print_exception(error, file=file)
            written = file.name
    except OSError:
        traceback.print_exception(error)
    first = str(error).strip().partition("\n")[0]
    return NlptoolError(
        f"this is a defect of nlptool: {type(error).__name__}: {first}",
        hint=f"please report it with the traceback in {written}",
    )


def _fail(error: Reported) -> int:
    """Show an error; with several ranks, on the one where it occurred first, with its rank."""
    ranks = sys.modules.get("nlptool.train.distributed")
    try:
        this = launch.read(os.environ)
    except UsageError:
        this = launch.ALONE
    if this.size == 1:
        return _show(error)
    signals.ignore()  # torchrun stops all ranks when one has failed
    if isinstance(error, OtherRankFailed) and ranks is not None and (dead := ranks.missing()):
        error.message = f"{dead} has died"
    shown = ranks.reports(error) if ranks is not None and ranks.is_joined() else this.local_rank == 0
    if shown:
        error.message = f"{this}: {error.message}"
        return _show(error)
    return error.exit_code


def _show(error: Reported) -> int:
    """Print an error; with --json also as a line of JSON on stdout, unless a result was printed."""
    answered = Manner.console is not None and Manner.console.answered
    console().error(error)
    if Manner.json and not answered:
        failure = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        console().json_line({"error": failure})
    return error.exit_code
