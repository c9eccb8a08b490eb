"""Infers a task from the user's files: its kind, columns, labels and metrics.

Where this fails, the error names the key to set. Given keys are kept, whatever the files contain.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from nlptool import registry
from nlptool.errors import RecipeError
from nlptool.formatting import brief, counted, json_value
from nlptool.recipe import catalog
from nlptool.tasks.config import TaskConfig
from nlptool.tasks.row_files import files_of, renamed
from nlptool.text import tabular
from nlptool.text.column_profile import Table, profile
from nlptool.text.row import Row, whole

KINDS = (
    *("token_classification", "extractive_qa", "multiple_choice"),
    *("multi_label_classification", "classification", "text_generation"),
)
"""Kinds are tried in this order; the first that fits the columns is taken."""
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
HELD_OUT = 0.1
"""Share of the training rows held out if there are no validation rows."""


def is_data(given: str) -> bool:
    """Whether the text given for a task is the path of its rows rather than the name of a task.

    Raises RecipeError for a spreadsheet.
    """
    if given.removesuffix(".yaml") in catalog.shipped("tasks"):
        return False
    path = Path(given)
    if path.suffix.lower() in SPREADSHEETS and path.is_file():
        raise RecipeError(
            f"task: {given}: a spreadsheet", hint="save its table as CSV (UTF-8) and name that file"
        )
    return path.is_dir() or (tabular.has_rows(given, columns=True) and path.suffix != ".yaml")


def needs_inference(block: Mapping[str, Any]) -> bool:
    """Whether a task's block names files and lacks required keys."""
    source, name = block.get("source"), block.get("name")
    if not isinstance(source, Mapping) or source.get("files") is None or name not in (None, *KINDS):
        return False
    return name is None or any(
        field.is_required() and key not in block for key, field in _config(name).model_fields.items()
    )


def inferred(given: Mapping[str, Any]) -> dict[str, Any]:
    """A task's block completed from its files. given: known keys, `source.files` among them.

    Raises RecipeError, with the missing key, where inference fails; DataError for files that cannot be read.
    """
    at = given["source"]["files"]
    if not isinstance(at, str) and not (isinstance(at, Mapping) and all(map(_is_text, at.values()))):
        raise RecipeError(f"task.source.files: {json_value(at)}: expected a path, or a path for each split")
    task = _Files(given)
    table = task.table()
    _require_header(table, given)
    named = "name" in given
    kinds = [_config(name) for name in KINDS if not named or name == given["name"]]
    kind = next((one for one in kinds if named or one.suits(table, given)), None)
    if kind is None:
        raise RecipeError(
            f"{table.name}: which kind of task is it? It has the columns {table.listing}{_of_one_value(table)}",
            hint=f"task.label=COLUMN names the column of the classes or numbers, task.label_columns=[COLUMN, COLUMN] "
            f"those of 0 and 1 for each label; or task.name={'|'.join(KINDS)}",
        )
    found: dict[str, Any] = {"name": kind.model_fields["name"].default, **kind.infer(table, given)}
    return {**found, **task.splits(), **given}


def _of_one_value(table: Table) -> str:
    """A remark on a column with a single value, which could otherwise be the label."""
    alike = [
        one for one in table.columns.values() if len(one.values) == 1 and not one.many and not one.spaced
    ]
    if not alike:
        return ""
    (value,) = alike[-1].values
    everywhere = "its only row" if table.count == 1 else f"each of {counted(table.count, 'rows')}"
    return f"; {alike[-1].name} is {json_value(value)} in {everywhere}, and classes are two or more"


class _Files:
    """The files of an incomplete task."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.at: str | dict[str, str] = given["source"]["files"]
        self.given = given
        known: dict[str, Any] = {key: given[key] for key in ("train", "validation", "test") if key in given}
        kind = "token_classification"  # which reads CoNLL's columns, too
        self.task = _config(kind).model_construct(None, name=kind, metrics=(), **known)

    def table(self) -> Table:
        """Statistics of the columns of the training rows."""
        files = files_of(self.task, self.at, self.task.train)
        columns, names = self.given.get("columns", ()), self.given.get("rename_columns", {})
        noted = (
            {} if "label_map" in self.given else tabular.class_names(files[0])
        )  # a map is given for the values in the rows
        classes = {names.get(key, key): found for key, found in noted.items()}

        def rows() -> Iterator[Row]:
            questions = _config("extractive_qa").model_construct(name="extractive_qa", metrics=())
            read = chain.from_iterable(map(questions.flat, tabular.read(files, columns)))
            return (_with_names(renamed(row, names), classes) for row in read)

        wanted = [self.given.get("label"), *_texts(self.given.get("inputs"))]
        return profile(str(files[0].path), rows, filter(_is_text, wanted), classes)

    def splits(self) -> dict[str, Any]:
        """The source of validation rows, and the split without labels."""
        found: dict[str, Any] = {}
        if not files_of(self.task, self.at, self.task.validation[0], optional=True):
            found["holdout"] = HELD_OUT
        if files_of(self.task, self.at, "test", optional=True):
            found["test"] = ("test",)
        if "validation" in self.given:
            found.pop("holdout", None)
        return found


def _require_header(table: Table, given: Mapping[str, Any]) -> None:
    """Raise RecipeError where the first line of a file looks like a row."""
    separated = {".tsv", ".csv", ".txt"} & {suffix.lower() for suffix in Path(table.name).suffixes}
    if given.get("columns") or not separated:
        return
    numbers = any(map(_is_number, table.columns))
    own = [name for name, column in table.columns.items() if name in column.values]
    texts = [one.name for one in table.columns.values() if one.spaced > table.count / 2]
    # A class may be called as its column, but a row's text has white space, and its name has none.
    named = len(table.columns) > 2 and texts and not any(" " in name.strip() for name in texts)
    if numbers or (own and not named):
        line = " | ".join(brief(name, 30) for name in table.columns)
        raise RecipeError(
            f"{table.name}: the first line seems to be a row, not the names of the columns: {line}",
            hint=f"name them, in their order: task.columns=[{', '.join(_proposed(table))}]",
        )


def _proposed(table: Table) -> list[str]:
    """Names for the columns of a file without a header: text, label, and the rest by their places."""
    columns = list(table.columns.values())
    text = next((one for one in columns if one.spaced > table.count / 2), None)
    label = next((one for one in columns if one is not text and len(one.values) > 1 and not one.spaced), None)
    return [
        "text" if one is text else "label" if one is label else f"column_{place}"
        for place, one in enumerate(columns, 1)
    ]


def _with_names(row: Row, classes: Mapping[str, tuple[str, ...]]) -> Row:
    """The row with names of classes in place of numbers, also in lists."""

    def named(value: Any, names: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [named(one, names) for one in value]
        number = whole(value)
        return names[number] if number is not None and 0 <= number < len(names) else value

    both = {key: named(row.values[key], names) for key, names in classes.items() if key in row.values}
    return Row(row.place, row.values | both) if both else row


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _config(kind: str) -> type[TaskConfig]:
    return registry.config("tasks", kind)
