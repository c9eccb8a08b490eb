"""Commands that apply a trained model to the user's rows."""

from pathlib import Path
from typing import Annotated

import typer

from nlptool.cli.app import BatchSize, Json, OnError, app, carry_out, console
from nlptool.commands.specs import INFERENCE
from nlptool.errors import UsageError


@app.command(
    "predict",
    rich_help_panel=INFERENCE,
    epilog="E.g. nlptool predict runs/reviews reviews.csv --out predicted.csv --keep; "
    "nlptool predict runs/reviews --text 'A fine film.'",
)
def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A fine-tuned model: a run of finetune (the mean of its seeds), a final/, or a hub id.",
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE...|-]",
            help="Rows: .jsonl, .csv, .tsv, .parquet, .conll, or .txt with a text a line; also .gz and the like; "
            "- for standard input.",
        ),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            metavar="TEXT",
            help="A row in place of files; again for another row, or for the second text of a pair.",
        ),
    ] = None,
    second: Annotated[
        str | None, typer.Option("--text-pair", metavar="TEXT", help="The second text of a pair.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help=".jsonl, .csv, .tsv or .parquet; else JSON lines on stdout."
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="jsonl, csv, tsv, parquet, lines or conll, if a file's name does not show it.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="A,B,...", help="Names of the columns of files without a header."),
    ] = None,
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="TASK=FILE", help="The task's column, and its name in the files."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write the columns of the input before the predictions.")
    ] = False,
    on_error: OnError = "stop",
    task: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="TASK", help="A task's name or file, for a model without one of its own."
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Also explain each answer: for KagNet, by the paths of highest attention.",
        ),
    ] = False,
    batch_size: BatchSize = None,
    submission: Annotated[
        bool, typer.Option("--submission", help="Write index and prediction in the form of GLUE's server.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="auto", help="Resume: keep the predictions that the output holds."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    as_json: Json = False,
) -> None:
    """Predict labels, spans, tags or answers of rows, by a fine-tuned model."""
    from nlptool.commands.predict import options as light
    from nlptool.console import Options
    from nlptool.runs import folder

    folder.require_auto(resume)
    if out is None and (resume or overwrite):
        raise UsageError("--resume and --overwrite require a file: --out FILE")
    names = tuple(name.strip() for name in columns.split(",")) if columns else ()
    request = light.PredictOptions(
        model=model,
        files=tuple(files or ()),
        texts=(*(texts or ()), *([second] if second is not None else ())),
        one_row=second is not None,
        out=out,
        format=light.row_format(form),
        columns=names,
        mapped=light.column_map(mapped or ()),
        keep=keep,
        skip=on_error == "skip",
        task=light.task_of(task),
        submission=submission,
        explain=explain,
        batch_size=batch_size,
    )
    models = light.resolve(request)
    reads = (*request.files, *models)
    if out is not None and not light.prepare_output(
        out, reads, resume=resume is not None, overwrite=overwrite
    ):
        console().note(f"{out}: is finished")
        return
    carry_out("predict", (models, request), Options(resume=resume, overwrite=overwrite, json=as_json))
