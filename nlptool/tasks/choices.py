"""The base of recipe blocks of tasks that choose among texts. No torch here."""

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError
from nlptool.formatting import counted, json_value
from nlptool.tasks.config import TaskConfig, class_of, filled, nested, number_of
from nlptool.text.tabular import Example, Row


class ChoiceConfig(TaskConfig):
    """A question, and texts, one of which is its answer."""

    inputs: tuple[str, ...] = Field(
        min_length=1, description="columns of the question; several are joined by spaces"
    )
    choices: tuple[str, ...] = Field(
        min_length=1,
        description="column of each choice, or one column that holds a list; dots lead into objects",
    )
    label: str = Field(
        "label", description="column of the right choice: its name, its place from 0, or its text"
    )
    labels: tuple[str, ...] = Field(min_length=2, description="names of the choices, one for each")

    metrics: tuple[Literal["accuracy"], ...] = Field(
        ("accuracy",), min_length=1, max_length=1, description="metric on the validation rows"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: different names")
        if len(self.choices) not in (1, len(self.labels)):
            raise ValueError(f"choices: a column for each of {len(self.labels)} labels, or one with a list")
        return self

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The question, then the choices."""
        listed = tuple(f"{self.choices[0]}.{place}" for place in range(len(self.labels)))
        return (*self.inputs, *(self.choices if len(self.choices) > 1 else listed))

    def row_of(self, texts: Sequence[str]) -> dict[str, Any]:
        """The values of a row without a label. texts: one for each of `text_columns`."""
        if len(self.choices) > 1:
            return super().row_of(texts)
        columns, given = (*self.inputs, self.choices[0]), len(self.inputs)
        return nested(zip(columns, (*texts[:given], list(texts[given:])), strict=True))

    def example(self, row: Row, *, labelled: bool) -> Example:
        """The question with each choice. Raises DataError, with the row's place, for an invalid row."""
        question = " ".join(filled(row, column, row.text(column)) for column in self.inputs)
        texts = choices_of(row, self.choices, len(self.labels))
        pairs = tuple((question, choice) for choice in texts)
        return Example(row.place, pairs, (self._right(row, texts) if labelled else math.nan,))

    def _right(self, row: Row, texts: Sequence[str]) -> float:
        """The place of the right choice. Raises DataError where the label is no choice, or the text of several."""
        value = row.get(self.label)
        if number_of(value, self.labels) is None and isinstance(value, str) and texts.count(value) == 1:
            return float(texts.index(value))
        return class_of(row, self.label, self.labels)


def choices_of(row: Row, columns: tuple[str, ...], number: int) -> list[str]:
    """The texts of a row's choices: a column for each, or one column that holds a list of them.

    Raises DataError where they are not `number` texts, or one is blank.
    """
    if len(columns) > 1:
        return [filled(row, column, row.text(column)) for column in columns]
    (column,) = columns
    found = row.get(column)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(found)}; a list of texts is expected"
        )
    if len(found) != number:
        raise DataError(
            f"{row.place}: column '{column}' has {counted(len(found), 'choices')}, the task {number}",
            hint="fix or remove the row, or give the task as many labels",
        )
    return [filled(row, column, text) for text in found]
