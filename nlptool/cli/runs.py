"""Commands that inspect runs and models."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nlptool.cli.app import Changes, Json, RecipeName, Replace, app, carry_out, console, refuse_flags
from nlptool.commands.specs import RUNS
from nlptool.errors import UsageError


@app.command(
    "export",
    rich_help_panel=RUNS,
    epilog="E.g. nlptool export runs/demo --checkpoint best --out demo-hf; "
    "nlptool export runs/demo/final --license apache-2.0 --push-to-hub OWNER/demo",
)
def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL|GRAPH",
            help="A run folder; or a model's, such as a run's final; or a knowledge graph.",
        ),
    ],
    to: Annotated[
        Literal["hf", "onnx", "openke", "pykeen"],
        typer.Option(
            "--to",
            help="Format: a folder that transformers loads, or an ONNX graph; of a knowledge graph "
            "OpenKE's or PyKEEN's.",
        ),
    ] = "hf",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Output folder (default RUN/hf, RUN/onnx or GRAPH-FORMAT)."
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint", metavar="NAME", help="newest, best or e.g. step-00001000; newest if not given."
        ),
    ] = None,
    license_: Annotated[
        str | None,
        typer.Option("--license", metavar="ID", help="Licence in the model card, e.g. apache-2.0."),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(
            "--language",
            metavar="CODE",
            help="Language in the card, e.g. ko; may be given again; else the store's.",
        ),
    ] = None,
    push_to_hub: Annotated[
        str | None,
        typer.Option("--push-to-hub", metavar="ID", help="Upload the folder to the hub as OWNER/NAME."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Create the repository as a private one.")
    ] = False,
    quantize: Annotated[
        Literal["int8"] | None,
        typer.Option(
            "--quantize", help="onnx: also write a graph with 8-bit weights, and measure its speed and loss."
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="FILE",
            help="onnx: rows on which the graphs are compared with the model, and scored where they are labelled; "
            "random tokens if not given.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="Their column of text; twice for a pair. If not given, those of the model's task, or `text`.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="NAME",
            help="Their column of the class; if not given, that of the model's task.",
        ),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors", metavar="FOLDER", help="openke, pykeen: vectors of its entities, too: RUN/final."
        ),
    ] = None,
    overwrite: Replace = False,
    as_json: Json = False,
) -> None:
    """Write a checkpoint as a folder that transformers loads, or as ONNX; upload a model to the hub."""
    from nlptool.commands.export.options import ExportOptions
    from nlptool.console import Options

    options = ExportOptions(
        source=source,
        out=out,
        to=to,
        checkpoint=checkpoint,
        license=license_,
        languages=tuple(language or ()),
        repository=push_to_hub,
        private=private,
        overwrite=overwrite,
        quantize=quantize,
        rows=rows,
        columns=tuple(column or ()),
        label=label,
        vectors=vectors,
    )
    options.check()
    carry_out("export", options, Options(json=as_json))


@app.command(
    "inspect",
    rich_help_panel=RUNS,
    epilog="E.g. nlptool inspect demo/bert store=runs/demo-tokens --rows 2; nlptool inspect runs/demo-tokens; "
    "nlptool inspect demo/finetune --out rows.html",
    context_settings={"ignore_unknown_options": True},
)
def inspect(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|STORE",
            help="A recipe that pretrains, distils, fine-tunes or prompts, or its run; or a token store.",
        ),
    ],
    changes: Changes = None,
    rows: Annotated[int, typer.Option("--rows", min=1, metavar="N", help="Number of rows to show.")] = 4,
    batch: Annotated[
        int,
        typer.Option(
            "--batch", min=0, metavar="N", help="The rows of step N, from 0; other rows of a store."
        ),
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write a page, e.g. rows.html.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page.")] = False,
    as_json: Json = False,
) -> None:
    """Show rows as the model reads them: masks, replaced tokens, segments, labels, lost text."""
    refuse_flags(changes or (), "inspect")
    from nlptool.commands.inspect.options import InspectOptions, subject_of
    from nlptool.console import Options
    from nlptool.runs import output_file

    if out is not None and out.suffix not in (".html", ".htm"):
        raise UsageError(f"--out {out}: a page is a file that ends in .html")
    if out is not None:
        output_file.prepare_output_file(out, overwrite=overwrite, reads=[what])
    subject = subject_of(what, changes or (), console())
    carry_out("inspect", InspectOptions(subject, what, rows, batch, out), Options(json=as_json))


@app.command("report", rich_help_panel=RUNS)
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders to show side by side, or one of evaluate --suite."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Output folder (default report).")
    ] = Path("report"),
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Print what differs: keys, data, versions and figures; write nothing."),
    ] = False,
    overwrite: Replace = False,
    as_json: Json = False,
) -> None:
    """Draw the curves of runs, or the scores of a suite: an HTML page, SVG and PNG."""
    from nlptool.commands import report as command

    if diff:
        command.diff(runs, as_json=as_json, console=console())
        return
    command.run(runs, out, overwrite=overwrite, as_json=as_json, console=console())


@app.command(
    "verify-resume",
    rich_help_panel=RUNS,
    epilog="E.g. nlptool verify-resume demo/bert train.steps=200 save.every=20. It takes two to three times the run.",
    context_settings={"ignore_unknown_options": True},
)
def verify_resume(
    recipe: RecipeName,
    changes: Changes = None,
    kills: Annotated[
        int, typer.Option("--kills", min=1, metavar="N", help="How often the run is killed.")
    ] = 3,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed of the moments at which it is killed.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="A new folder that keeps both runs."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that a run that is killed and resumed ends with the same weights and figures."""
    refuse_flags([recipe, *(changes or ())], "verify-resume")
    from nlptool.commands import verify_resume as command

    if out is not None:
        from nlptool.console import Options
        from nlptool.runs import folder, lock

        if out.exists():
            lock.require_free(out)
            raise UsageError(f"{out}: is there already", hint="choose another --out")
        folder.prepare_output_folder(out, Options())
    options = command.VerifyOptions(recipe, tuple(changes or ()), kills, seed, out)
    command.run(options, as_json=as_json, console=console())


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
