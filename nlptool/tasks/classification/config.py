"""The recipe block of classification and regression. No torch here."""

import math
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError
from nlptool.evaluation.metrics import classification
from nlptool.formatting import json_value
from nlptool.models.config import ModelConfig
from nlptool.recipe import OneOf
from nlptool.tasks.config import TaskConfig, class_of, filled
from nlptool.text.tabular import Example, Row, is_hidden

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.classification.objective import Classification

Metric = Annotated[str, OneOf(classification.METRICS)]
OF_NUMBERS = ("pearson", "spearman")


class Config(TaskConfig):
    """A text or a pair of texts gets one class, or one number (Devlin et al. 2019, section 4.1).

    With `labels`, a class of these, learnt by cross-entropy; rows may give its name or its place in the list, from
    0. Without, a number, learnt by the squared error, such as the similarity of STS-B.
    """

    one_decision = True

    name: Literal["classification"] = Field("classification", description="kind of task")
    inputs: tuple[str, ...] = Field(min_length=1, max_length=2, description="columns of the text, or of both")
    label: str = Field("label", description="column of the class or number; dots lead into objects")
    labels: tuple[str, ...] = Field((), description="names of the classes; none: the label is a number")
    metrics: tuple[Metric, ...] = Field(
        min_length=1, description="metrics on the validation rows; the first one selects the best checkpoint"
    )
    range: tuple[float, float] | None = Field(
        None,
        description="smallest and largest number that the server takes: what is handed in lies within, scores are of "
        "what the net says",
    )
    empty: bool = Field(False, description="whether a text may be empty")

    @property
    def width(self) -> int:
        """Numbers that the net says of a row: one a class, or the one."""
        return len(self.labels) or 1

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The text, or both."""
        return self.inputs

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
        if "f1" in self.metrics and len(self.labels) != 2:
            raise ValueError("metrics: f1 is of the second of two classes; macro_f1 is the mean over classes")
        return self

    def example(self, row: Row, *, labelled: bool) -> Example:
        """What the net reads of a row. Raises DataError, with the row's place, for what is not as it should be."""
        texts = tuple(self._text(row, column) for column in self.inputs)
        return Example(row.place, (texts,), (self._number(row) if labelled else math.nan,))

    def _text(self, row: Row, column: str) -> str:
        text, remedy = row.text(column), "mend or remove the row, or say empty: true in the task"
        return text if self.empty else filled(row, column, text, remedy)

    def _number(self, row: Row) -> float:
        return class_of(row, self.label, self.labels) if self.labels else _float(row, self.label)

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "Classification":
        """An encoder with the head of its family."""
        from nlptool.tasks.classification.objective import build

        return build(self, model, vocabulary, dropout)


LARGEST = 1e18  # so that its square is a number in single precision


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
            else "for classes, list their names in the task, labels: [NAME, NAME]; else mend or remove the row",
        )
    return number
