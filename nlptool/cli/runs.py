"""Commands that look at runs and models."""

from pathlib import Path
from typing import Annotated

import typer

from nlptool.cli.app import Json, Replace, app, console
from nlptool.commands.specs import RUNS
from nlptool.errors import UsageError


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
    overwrite: Replace = False,
) -> None:
    """Write a checkpoint of a run as a folder that transformers loads."""
    if to != "hf":
        raise UsageError(f"--to {to}: no such format", hint="--to hf is the one there is")
    from nlptool.commands import export as command

    command.run(run, out or run / "hf", checkpoint, overwrite=overwrite, console=console())


@app.command("report", rich_help_panel=RUNS)
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders to show side by side.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where to; report when not given.")
    ] = Path("report"),
    overwrite: Replace = False,
    as_json: Json = False,
) -> None:
    """Draw the curves of runs and compare them, as a page and as pictures."""
    from nlptool.commands import report as command

    command.run(runs, out, overwrite=overwrite, as_json=as_json, console=console())


@app.command("doctor", rich_help_panel=RUNS)
def doctor(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A run, token store or model to check.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check this machine, or a run, token store or model."""
    from nlptool.commands import doctor as command

    command.run(folder, as_json=as_json, console=console())
