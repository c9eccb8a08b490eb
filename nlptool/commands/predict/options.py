"""Options of `nlptool predict MODEL [FILE ...|-]`. Nothing heavy is imported."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nlptool import folder_kinds
from nlptool.errors import UsageError
from nlptool.models import hub
from nlptool.recipe import Named
from nlptool.registry import DiscriminatedBy
from nlptool.runs.output_file import prepare_output_file
from nlptool.tasks.config import TaskConfig
from nlptool.tasks.prediction_parts import WRITERS, parts_folder
from nlptool.text.input_rows import SUFFIXES, RowFormat

FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))


class PredictOptions(NamedTuple):
    """Rows, output and options of a prediction."""

    model: str
    files: tuple[str, ...] = ()
    """- is standard input."""
    texts: tuple[str, ...] = ()
    """In place of files: one row each, or one row of several texts."""
    one_row: bool = False
    """Whether the texts are those of one row."""
    out: Path | None = None
    """None: JSON lines on standard output."""
    format: RowFormat | None = None
    columns: tuple[str, ...] = ()
    mapped: dict[str, str] = {}  # noqa: RUF012  (never changed)
    keep: bool = False
    """Whether the input's columns precede the predictions."""
    skip: bool = False
    """Whether invalid rows are skipped; else they end the command."""
    task: TaskConfig | None = None
    submission: bool = False
    """Whether to write the form of GLUE's server."""
    explain: bool = False
    """Whether to explain each answer."""
    batch_size: int | None = None
    """Rows of a batch; None: as many as have 4,096 tokens, on a GPU 65,536."""


def resolve(options: PredictOptions) -> list[str]:
    """The models: one, or those of all seeds of a run, whose mean predicts.

    Raises UsageError for invalid options, before anything heavy is imported.
    """
    if bool(options.files) == bool(options.texts):
        raise UsageError(
            "a text and files are two questions" if options.files else "nothing to predict",
            hint="name files, - for standard input, or give a row: --text TEXT",
        )
    out = options.out
    if options.texts and (out is not None or options.submission):
        raise UsageError(
            "the prediction of a --text is shown",
            hint="leave --out and --submission out, or name a file of rows",
        )
    if out is not None and out.suffix.lower() not in WRITERS:
        raise UsageError(f"--out {out}: the name ends in {', '.join(WRITERS)}")
    if options.submission and (
        options.explain or options.keep or options.skip or (out is not None and out.suffix != ".tsv")
    ):
        raise UsageError(
            "--submission writes index and prediction of each row, tab-separated",
            hint="name a file NAME.tsv with --out, and leave --keep, --explain and --on-error skip out",
        )
    models = [str(path) for path in folder_kinds.finals(Path(options.model))]
    if len(models) < 2 or (Path(options.model) / "config.json").exists():
        models = [options.model]
    for model in models:
        if wrong := hub.problem(model):
            raise UsageError(wrong)
    return models


def prepare_output(out: Path, reads: Iterable[str], *, resume: bool, overwrite: bool) -> bool:
    """Whether there is something to do: an existing output is finished. Raises UsageError for another existing file."""
    parts = parts_folder(out)
    if parts.exists() and not (resume or overwrite):
        raise UsageError(
            f"{parts}: is there already",
            hint="--resume auto continues from what is predicted; --overwrite starts again",
        )
    prepare_output_file(out, overwrite=overwrite, resume=resume, resumable=True, reads=reads)
    if overwrite:
        shutil.rmtree(parts, ignore_errors=True)
        return True
    return parts.exists() or not out.exists()


def row_format(name: str | None) -> RowFormat | None:
    """The format of a name. Raises UsageError for another name."""
    found = next((one for one in FORMATS if one == name), None)
    if name is not None and found is None:
        raise UsageError(f"--format {name}: expected one of {', '.join(FORMATS)}")
    return found


def task_of(name: str | None) -> TaskConfig | None:
    """The task of a name or file. Raises RecipeError."""
    if name is None:
        return None
    found: Any = Named(DiscriminatedBy("tasks"), "tasks", "task").block(name)
    assert isinstance(found, TaskConfig)
    return found


def column_map(given: Sequence[str]) -> dict[str, str]:
    """TASK=FILE pairs. Raises UsageError for other texts."""
    pairs = [one.partition("=") for one in given]
    for one, (column, equals, there) in zip(given, pairs, strict=True):
        if not (column and equals and there):
            raise UsageError(f"--map {one}: expected COLUMN=COLUMN", hint="e.g. --map sentence=review")
    return {column: there for column, _, there in pairs}
