"""The recipe block of classification and regression. No torch here."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError, RecipeError
from nlptool.evaluation.metrics import classification
from nlptool.formatting import json_value
from nlptool.models.config import ModelConfig
from nlptool.recipe import OneOf
from nlptool.tasks.column_roles import label_column, text_columns
from nlptool.tasks.config import class_of, filled
from nlptool.tasks.linked_inputs import LinkedInputsConfig
from nlptool.text.column_profile import MOST, Column, Table, label_name
from nlptool.text.tabular import Example, Row, is_hidden, whole

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.classification.objective import Classification

Metric = Annotated[str, OneOf(classification.METRICS)]
OF_NUMBERS = ("pearson", "spearman")
MOST_WHOLE = 20
"""Distinct whole numbers that are taken for classes by default; more are a number to predict."""
UNEVEN = 0.8
"""If a class has a larger share of the rows, accuracy is not the default metric."""


class Config(LinkedInputsConfig):
    """A class or a number for a text or a pair of texts (Devlin et al. 2019, section 4.1).

    With `labels`, one of these classes, trained with cross-entropy; rows may have its name or its index in the list,
    from 0. Without, a number, such as the similarity of STS-B, trained with the squared error.
    """

    kinds = ("encoder", "decoder")
    one_decision = True

    name: Literal["classification"] = Field("classification", description="kind of task")
    label: str = Field("label", description="column of the class or number; dots lead into objects")
    labels: tuple[str, ...] = Field((), description="names of the classes; none: the label is a number")
    label_map: dict[str, str | None] = Field(
        {},
        description="what labels of the rows mean, each a name in labels, or null: such rows are left out, and "
        'counted, e.g. {"-": null}',
    )
    class_weights: Literal["balanced"] | tuple[float, ...] | None = Field(
        None,
        description="weight of each class in the training loss, in the order of labels; balanced: rows / (classes"
        " x rows of the class), as in scikit-learn; validation is unweighted",
    )
    metrics: tuple[Metric, ...] = Field(
        min_length=1, description="metrics on the validation rows; the first one selects the best checkpoint"
    )
    range: tuple[float, float] | None = Field(
        None,
        description="smallest and largest number accepted by the server: submissions are clipped to this range, "
        "scores are not",
    )
    empty: bool = Field(False, description="whether a text may be empty")

    @property
    def num_outputs(self) -> int:
        """Logits of a row: one for each class, or the number."""
        return len(self.labels) or 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.labels)) != len(self.labels) or len(self.labels) == 1:
            raise ValueError("labels: two or more different names, or none for a number")
        wrong = [name for name in self.metrics if (name in OF_NUMBERS) == bool(self.labels)]
        if wrong:
            is_for = (
                "is not for classes; leave labels out where the label is a number"
                if self.labels
                else "is not for numbers; for classes, list their names in labels, in the order of their numbers"
            )
            raise ValueError(f"metrics: {', '.join(wrong)} {is_for}")
        if self.range is not None and (self.labels or self.submission is None):
            raise ValueError(
                "range: of numbers that are handed in; leave it out where labels are, or no submission"
            )
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range: {self.range[0]:g} is not below {self.range[1]:g}")
        if other := [name for name in self.label_map.values() if name not in (None, *self.labels)]:
            raise ValueError(f"label_map: {other[0]} is none of labels, {', '.join(self.labels) or 'none'}")
        if self.class_weights is not None and not self.labels:
            raise ValueError("class_weights: of classes; the label is a number")
        if isinstance(given := self.class_weights, tuple) and (
            len(given) != len(self.labels) or min(given) <= 0
        ):
            raise ValueError(f"class_weights: {len(self.labels)} numbers above 0, one for each of labels")
        if "f1" in self.metrics and len(self.labels) != 2:
            raise ValueError("metrics: f1 is of the second of two classes; macro_f1 is the mean over classes")
        return self

    def example(self, row: Row, *, labelled: bool) -> Example:
        """The model's input for a row. Raises DataError, with the row's place, for an invalid row."""
        texts = tuple(self._text(row, column) for column in self.inputs)
        return Example(row.place, (texts,), (self._number(row) if labelled else math.nan,))

    def _text(self, row: Row, column: str) -> str:
        text, remedy = row.text(column), "fix or remove the row, or set empty: true in the task"
        return text if self.empty else filled(row, column, text, remedy)

    def is_left_out(self, row: Row) -> bool:
        """Whether label_map maps its label to null."""
        return bool(self.label_map) and self.label_map.get(label_name(row.get(self.label)), "") is None

    def stratum(self, row: Row) -> str:
        """Its class; numbers form one stratum."""
        return label_name(row.get(self.label)) if self.labels else ""

    def _number(self, row: Row) -> float:
        if self.labels and self.label_map:
            value = label_name(row.get(self.label))
            if (name := self.label_map.get(value)) is not None:
                return float(self.labels.index(name))
        return class_of(row, self.label, self.labels) if self.labels else _float(row, self.label)

    @classmethod
    def suits(cls, table: Table, given: Mapping[str, Any]) -> bool:
        """Whether a column can be the label."""
        return label_column(table, given) is not None

    @classmethod
    def infer(cls, table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
        """The texts and the label; classes in the order of their names or numbers, or numbers."""
        label = label_column(table, given)
        if label is None:
            raise RecipeError(
                f"{table.name}: which column is the label? It has {table.listing}", hint="task.label=COLUMN"
            )
        inputs = text_columns(table, given, [label])
        found: dict[str, Any] = {"inputs": inputs, "label": label.name}
        if any(table.columns[column].blank for column in inputs if column in table.columns):
            found["empty"] = True
        labels = given["labels"] if "labels" in given else _classes(table, label, given.get("label_map", {}))
        if not labels:
            return found | {"labels": (), "metrics": ("pearson", "spearman")}
        most = max(label.values.values(), default=0) / (sum(label.values.values()) or 1)
        metrics = ("macro_f1", "accuracy") if most > UNEVEN else ("accuracy", "macro_f1")
        return found | {"labels": labels, "metrics": metrics}

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "Classification":
        """A model with the head of its family."""
        from nlptool.tasks.classification.objective import build

        return build(self, model, vocabulary, dropout)


def _classes(table: Table, label: Column, names: Mapping[str, str | None]) -> tuple[str, ...]:
    """The classes among the values of a column; empty if these are numbers to predict.

    names: class names of some values. Raises RecipeError for values that cannot be classes.
    """
    if label.keys:
        raise RecipeError(
            f"{table.name}: column '{label.name}' holds objects, with {', '.join(label.keys)}",
            hint=f"task.label={label.name}.{label.keys[0]} leads into them",
        )
    known = sum(label.values.values())
    if label.numbers == table.count - label.blank and (
        label.many or label.fractions or len(label.values) > MOST_WHOLE
    ):
        return ()
    if label.many or label.lists or (len(label.values) > MOST_WHOLE and len(label.values) > known / 2):
        few = (
            "lists"
            if label.lists
            else f"more than {len(label.values) - 1 if not label.many else MOST:,} values"
        )
        raise RecipeError(
            f"{table.name}: column '{label.name}' holds {few}, and classes are few",
            hint="task.label=COLUMN names another; task.labels=[NAME, NAME] lists the classes",
        )
    if label.classes:
        return label.classes
    meant = {names.get(value, value) for value in label.values} - {None}
    if len(meant) < 2:
        found = f"only {', '.join(map(str, meant))}" if meant else "no label"
        raise RecipeError(
            f"{table.name}: column '{label.name}' holds {found}; two or more classes are needed",
            hint="task.label=COLUMN names another column; task.labels=[NAME, NAME] lists the classes",
        )
    return tuple(sorted((name for name in meant if name is not None), key=_by_number))


def _by_number(name: str) -> tuple[float, str]:
    """Numbers by size, before names by letters."""
    number = whole(name)
    return (math.inf if number is None else number, name)


LARGEST = 1e18  # so that its square fits single precision


def _float(row: Row, column: str) -> float:
    value = row.get(column)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(value)}; a finite number is expected",
            hint="its label is hidden: remove the row, or name a split with labels"
            if is_hidden(value)
            else "for classes, list their names in the task, labels: [NAME, NAME]; else fix or remove the row",
        )
    return number
