"""The recipe block of multi-label classification. No torch here."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError, RecipeError
from nlptool.evaluation.metrics import multi_label
from nlptool.formatting import json_value
from nlptool.models.config import ModelConfig
from nlptool.recipe import OneOf
from nlptool.tasks.column_roles import (
    LABELS,
    NUMBERS,
    given_column,
    label_column,
    may_be_classes,
    text_columns,
)
from nlptool.tasks.config import filled, number_of, numbered
from nlptool.tasks.linked_inputs import LinkedInputsConfig
from nlptool.text.column_profile import MOST, Column, Table
from nlptool.text.row import whole
from nlptool.text.tabular import Example, Row

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.multi_label_classification.objective import MultiLabelClassification

Metric = Annotated[str, OneOf(multi_label.METRICS)]
FLAGS = 3
"""Columns of 0 and 1 that are labels by default, if there are as many."""
SEPARATORS = ("|", ";", ",")
"""Separators of labels in a cell, by default the first that occurs."""


class Config(LinkedInputsConfig):
    """Any number of labels for a text or a pair of texts.

    Each label is a binary decision by the sigmoid of its logit, trained with binary cross-entropy, as in
    transformers' `problem_type: multi_label_classification`. Rows have their labels as a list, in one cell with a
    separator, or in a column of 0 and 1 for each label; an empty list or cell is a row without labels.
    """

    kinds = ("encoder", "decoder")

    name: Literal["multi_label_classification"] = Field(
        "multi_label_classification", description="kind of task"
    )
    label: str = Field(
        "labels", description="column of the labels: a list, or one text; dots lead into objects"
    )
    label_separator: str = Field(
        ",", min_length=1, max_length=8, description="separator of the labels in one text"
    )
    label_columns: tuple[str, ...] = Field(
        (),
        description="a column for each of labels, in their order, that holds 1 where a row has it, else 0; none: one "
        "column has all",
    )
    labels: tuple[str, ...] = Field(min_length=2, description="names of the labels")
    threshold: float = Field(
        0.5, gt=0, lt=1, description="probability from which a row is predicted to have a label"
    )
    metrics: tuple[Metric, ...] = Field(
        ("micro_f1", "macro_f1", "subset_accuracy"),
        min_length=1,
        description="metrics on the validation rows; the first one selects the best checkpoint",
    )
    empty: bool = Field(False, description="whether a text may be empty")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: two or more different names")
        if self.label_columns and len(self.label_columns) != len(self.labels):
            raise ValueError("label_columns: a column for each of labels")
        if not self.label_columns and (
            inside := [name for name in self.labels if self.label_separator in name]
        ):
            raise ValueError(f"label_separator: stands within the label {json_value(inside[0])}")
        return self

    def example(self, row: Row, *, labelled: bool) -> Example:
        """The model's input for a row. Raises DataError, with the row's place, for an invalid row."""
        texts = tuple(self._text(row, column) for column in self.inputs)
        hidden = (math.nan,) * len(self.labels)
        return Example(row.place, (texts,), self._label(row) if labelled else hidden)

    def _text(self, row: Row, column: str) -> str:
        text = row.text(column)
        return (
            text if self.empty else filled(row, column, text, "fix the row, or set empty: true in the task")
        )

    def _label(self, row: Row) -> tuple[float, ...]:
        """1 for each label of the row, else 0."""
        if self.label_columns:
            return tuple(_flag(row, column) for column in self.label_columns)
        given = row.get(self.label)
        if isinstance(given, str):
            given = _parts(given, self.label_separator)
        elif isinstance(given, int) and not isinstance(given, bool):  # a cell with a single number
            given = [given]
        if not isinstance(given, list):
            raise DataError(
                f"{row.place}: column '{self.label}' holds {json_value(given)}; a list of labels is expected, "
                f"or a text with {json_value(self.label_separator)} between them"
            )
        found = {number_of(one, self.labels): one for one in given}
        if None in found:
            raise DataError(
                f"{row.place}: column '{self.label}' holds {json_value(found[None])}; expected labels of "
                f"{numbered(self.labels[:12])}{', ...' if self.labels[12:] else ''}",
                hint="fix the row, list the label in the task's labels, or name the separator: "
                "task.label_separator=';'",
            )
        return tuple(float(number in found) for number in range(len(self.labels)))

    @classmethod
    def suits(cls, table: Table, given: Mapping[str, Any]) -> bool:
        """Whether a column has lists, a separator is given, or several columns hold 0 and 1."""
        if cls._flags(table, given):
            return True
        column = label_column(table, given)
        return column is not None and (column.lists > 0 or "label_separator" in given)

    @classmethod
    def infer(cls, table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
        """The texts, the label column or columns, its separator, and the names of the labels, sorted."""
        if flags := cls._flags(table, given):
            inputs = text_columns(table, given, flags)
            names = tuple(column.name for column in flags)
            return {"inputs": inputs, "label_columns": names, "labels": given.get("labels", names)}
        column = label_column(table, given) or given_column(table, "label", given.get("label", "labels"))
        found: dict[str, Any] = {"inputs": text_columns(table, given, [column]), "label": column.name}
        separator = given.get("label_separator") or next(
            (one for one in SEPARATORS if any(one in value for value in column.values)), SEPARATORS[-1]
        )
        if not column.lists:
            found["label_separator"] = separator
        labels = given["labels"] if "labels" in given else _names(table, column, separator)
        return found | {"labels": labels}

    @staticmethod
    def _flags(table: Table, given: Mapping[str, Any]) -> list[Column]:
        """The columns that are one label each: those that are given, or where nothing is, three or more of 0 and 1.

        None where a column of a few words, which may be the label, is beside them.
        """
        if "label_columns" in given:
            return [given_column(table, "label_columns", name) for name in given["label_columns"]]
        if "label" in given or table.first(LABELS) is not None:
            return []
        numbering = {column.name for column in table.columns.values() if column.name.lower() in NUMBERS}
        found = [
            column
            for column in table.columns.values()
            if column.name not in numbering
            and column.numbers == table.count
            and set(column.values) <= {"0", "1"}
        ]
        names = {column.name for column in found}
        others = (column for column in table.columns.values() if column.name not in names)
        words = any(may_be_classes(column, table.count) and not column.numbers for column in others)
        return found if len(found) >= FLAGS and not words else []

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None
    ) -> "MultiLabelClassification":
        """A model with the head of its family."""
        from nlptool.tasks.multi_label_classification.objective import build

        return build(self, model, vocabulary, dropout)


def _flag(row: Row, column: str) -> float:
    value = row.get(column)
    number = int(value) if isinstance(value, bool) else whole(value)
    if number not in (0, 1):
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(value)}; 1 where the row has this label, else 0"
        )
    return float(number)


def _parts(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _names(table: Table, column: Column, separator: str) -> tuple[str, ...]:
    """The labels recorded in the file, or those that occur. Raises RecipeError for values that cannot be labels."""
    if column.classes:
        return column.classes
    if column.many:
        raise RecipeError(
            f"{table.name}: column '{column.name}' holds more than {MOST:,} different values, or long texts",
            hint="task.label=COLUMN names another; task.labels=[NAME, NAME] lists the labels",
        )
    values = (
        column.values if column.lists else {p for value in column.values for p in _parts(value, separator)}
    )
    if len(values) < 2:
        raise RecipeError(
            f"{table.name}: column '{column.name}' holds {', '.join(values) or 'no label'}; two or more labels are "
            "needed",
            hint="task.label=COLUMN names another; task.label_separator='|' names the separator",
        )
    return tuple(sorted(values))
