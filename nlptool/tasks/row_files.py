"""The files of a split's rows, and the names of their columns. No torch here."""

from collections.abc import Mapping
from pathlib import Path

from nlptool.errors import DataError
from nlptool.tasks.config import TaskConfig
from nlptool.text import tabular
from nlptool.text.columns import SUFFIXES
from nlptool.text.sources import File, saved_tables
from nlptool.text.tabular import Row


def files_of(task: TaskConfig, at: str | dict[str, str], split: str, *, optional: bool = False) -> list[File]:
    """The files of a split. at: a folder; the file of each split; or the file of the training rows.

    Raises DataError for a missing file, unless optional.
    """
    if isinstance(at, str) and not _is_file(at, task):
        path = Path(at) / split
        if optional and not path.parent.is_dir():
            return []
        name = None if task.source is None else task.source.name
        if found := tabular.of_split(path.parent, path.name, columns=task.conll, name=name):
            return found
        if split == task.train and (saved := saved_tables(Path(at))):  # a data set without splits
            return [file for path in saved if (file := tabular.of_rows(path)) is not None]
        if optional:
            return []
        raise missing(task, path.parent, path.name)
    if isinstance(at, str):
        at = {task.train: at}
    if split not in at:
        if optional:
            return []
        raise DataError(
            f"source.files: {', '.join(at.values())}: no file for the split {split}",
            hint="name its file: {train: FILE, validation: FILE}, or hold out some training rows: task.holdout=0.1",
        )
    path = Path(at[split])
    file = tabular.of_rows(path, columns=task.conll)
    if file is None:
        what = "no such file" if not path.exists() else "a folder" if path.is_dir() else "no file of rows"
        raise DataError(
            f"{path}: {what}",
            hint="a file of rows ends in .jsonl, .csv, .tsv or .parquet; .txt if all lines have equally many tabs",
        )
    return [file]


def missing(task: TaskConfig, folder: Path, split: str) -> DataError:
    """The error for a split without a file."""
    tested = (
        split in task.validation and folder.is_dir() and tabular.of_split(folder, "test", columns=task.conll)
    )
    return DataError(
        f"{folder}: no file for the split {split}; the folder holds {tabular.listing(folder)}",
        hint=f"name it {split}.jsonl, .csv, .tsv or .parquet (also .gz, .bz2, .xz, .zst)"
        + (f"; CoNLL's columns: {', '.join(SUFFIXES)}" if task.conll else "")
        + f"; or name the files: {tabular.FILES_KEY}"
        + ("; or hold some of the training rows out: task.holdout=0.1" if split in task.validation else "")
        + ("; or score the test file, if it has labels: task.validation=[test]" if tested else ""),
    )


def _is_file(at: str, task: TaskConfig) -> bool:
    return Path(at).is_file() or (not Path(at).is_dir() and tabular.has_rows(at, columns=task.conll))


def renamed(row: Row, names: Mapping[str, str]) -> Row:
    """The row with renamed columns; names of missing columns are ignored. A name with dots leads into objects."""
    if not names:
        return row
    values = {names.get(key, key): value for key, value in row.values.items()}
    for name, new in names.items():
        if "." in name and isinstance(row.values.get(name.partition(".")[0]), dict):
            values[new] = row.get(name)
    return Row(row.place, values)
