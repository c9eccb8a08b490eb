"""The base of the recipe blocks of tasks. No torch here."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nlptool import registry
from nlptool.errors import DataError, RecipeError
from nlptool.formatting import counted, json_value
from nlptool.models.config import Kind, ModelConfig
from nlptool.recipe import Problem, RecipeBlock
from nlptool.text.column_profile import Table, label_name
from nlptool.text.config import RowSource
from nlptool.text.tabular import Example, Row, is_hidden, whole

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.knowledge.entity_table import EntityTable
    from nlptool.tasks.base import TaskObjective


class Submission(RecipeBlock):
    """Files that a benchmark's server takes: index and prediction of each test row, tab-separated."""

    files: tuple[str, ...] = Field(description="a file for each test split, e.g. MNLI-m.tsv, MNLI-mm.tsv")
    write: Literal["names", "ids"] = Field("ids", description="how classes are written")


class TaskConfig(RecipeBlock):
    """A task: rows, the model's inputs and outputs, and metrics.

    Columns have the names of the hub's data set, so that a folder with the same rows can replace it: a file for each
    split, named after it (train.jsonl, validation.tsv.gz, test-00000-of-00002.parquet).
    """

    conll: ClassVar[bool] = False
    """Whether its rows are tagged sentences, so that files in CoNLL's columns can be read."""

    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    """The kinds of model for the task."""

    frames_texts: ClassVar[bool] = True
    """Whether a row is texts with special tokens around them."""

    one_decision: ClassVar[bool] = False
    """Whether a row is one decision among fixed alternatives, as distill-task requires."""

    folders: ClassVar[tuple[str, ...]] = ()
    """Keys that name further folders of a fine-tuned model, such as a graph."""

    name: str = Field(description="kind of task")

    metrics: tuple[str, ...] = Field(
        min_length=1, description="metrics on the validation rows; the first one selects the best checkpoint"
    )
    score: tuple[str, ...] = Field(
        (), description="metrics whose mean is the task's score in the mean of a suite; none: the first one"
    )
    source: RowSource | None = Field(None, description="source of the rows, unless the recipe names a folder")
    columns: tuple[str, ...] = Field(
        (),
        description="names of the columns of .tsv and .csv files without a header; a first line that has one of these "
        "names is a header",
    )
    rename_columns: dict[str, str] = Field(
        {},
        description="renaming of columns, from files to the task; dots lead into objects: {gold_label: label}",
    )
    sources: dict[str, RowSource] = Field(
        {}, description="data sets of splits from elsewhere: of split A/B, by the name A"
    )
    train: str = Field("train", description="training split")
    validation: tuple[str, ...] = Field(
        ("validation",),
        min_length=1,
        description="validation splits; the first one selects the best checkpoint",
    )
    holdout: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the training rows held out for validation: of each label those with the lowest "
        "digests, independent of the order of rows; null: validation rows have their own file",
    )
    test: tuple[str, ...] = Field((), description="splits without labels, for predictions only")
    submission: Submission | None = Field(None, description="submission files, besides the predictions")

    def check(self, model: ModelConfig) -> list[Problem]:
        """Incompatible settings of the task and a model."""
        if model.kind in self.kinds:
            return []
        if "encoder" in self.kinds:
            every = registry.names("tasks")
            others = [name for name in every if "decoder" in registry.config("tasks", name).kinds]
            problem = f"{self.name} takes an encoder, such as bert; a decoder, as this is, learns"
            return [Problem("init_from", f"{problem} {', '.join(others)}")]
        return [Problem("init_from", "answers are written by a decoder, such as gpt2; this is an encoder")]

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "TaskObjective":
        """The task's objective with random weights. dropout: rate in the head, None for the family's."""
        raise NotImplementedError

    def example(self, row: Row, *, labelled: bool) -> Example:
        """The model's input for a row with one decision. Raises DataError for an invalid row."""
        raise NotImplementedError

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns of a row without a label, if each is a text; empty: a row has more than texts."""
        return ()

    def row_of(self, texts: Sequence[str]) -> dict[str, Any]:
        """The values of a row without a label. texts: one for each of `text_columns`."""
        return nested(zip(self.text_columns, texts, strict=True))

    def entity_table(self) -> "EntityTable | None":
        """The graph with its entity embeddings, opened, if the model reads entities. Raises DataError."""
        return None

    def of_model(self) -> Self:
        """The task as a fine-tuned model records it: without settings for training."""
        return self

    def shown(self, row: Row) -> str:
        """A row's text in tables."""
        return " | ".join(str(row.get(column)) for column in self.text_columns)

    def flat(self, row: Row) -> Iterable[Row]:
        """The rows within a record, such as all questions of a file."""
        return (row,)

    def is_left_out(self, row: Row) -> bool:
        """Whether a labelled row is left out of training and scoring."""
        return False

    def stratum(self, row: Row) -> str:
        """The stratum of a row: strata are held out in equal shares, e.g. classes."""
        return ""

    @classmethod
    def suits(cls, table: Table, given: Mapping[str, Any]) -> bool:
        """Whether the columns of training rows fit this kind of task. given: known keys."""
        return False

    @classmethod
    def infer(cls, table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
        """The keys that the columns of the training rows imply, besides those given.

        Raises RecipeError, with the missing key, where this fails.
        """
        raise RecipeError(
            f"{table.name}: a task of kind {cls.model_fields['name'].default} cannot be inferred from its columns",
            hint="write the task's file; nlptool schema task has its keys",
        )

    @property
    def train_splits(self) -> tuple[str, ...]:
        """The training splits; A/B is split B in the folder A of the data."""
        return (self.train,)

    def source_of(self, split: str) -> RowSource | None:
        """The source of a split, unless a folder is given."""
        return self.sources.get(split.rpartition("/")[0], self.source)

    @property
    def scored(self) -> tuple[str, ...]:
        """The names of the figures, one for each validation split, whose mean is the task's score."""
        counting = self.score or self.metrics[:1]
        return tuple(f"{self.heading(split)}{name}" for split in self.validation for name in counting)

    def heading(self, split: str) -> str:
        """Prefix of the names of a validation split's figures; empty for the first split."""
        return "" if split == self.validation[0] else f"{split}/"

    @model_validator(mode="after")
    def _splits_apart(self) -> Self:
        if twice := [name for at, name in enumerate(self.validation) if name in self.validation[:at]]:
            raise ValueError(f"validation: {twice[0]} is given twice")
        if both := [name for name in self.test if name in (*self.train_splits, *self.validation)]:
            raise ValueError(f"test: {both[0]} has labels, as it is trained on or scored on")
        return self

    @model_validator(mode="after")
    def _one_split_held_out(self) -> Self:
        if self.holdout is not None and (len(self.validation) > 1 or self.train_splits != (self.train,)):
            raise ValueError("holdout: of a task with one training and one validation split")
        return self

    @model_validator(mode="after")
    def _scored_by_its_metrics(self) -> Self:
        if other := [name for name in self.score if name not in self.metrics]:
            raise ValueError(f"score: {other[0]} is none of the metrics")
        splits = (*self.train_splits, *self.validation, *self.test)
        if unused := [name for name in self.sources if not any(s.startswith(f"{name}/") for s in splits)]:
            raise ValueError(f"sources: no split is in {unused[0]}, such as {unused[0]}/test")
        return self

    @model_validator(mode="after")
    def _a_file_for_each_test_split(self) -> Self:
        if self.submission is not None and len(self.submission.files) != len(self.test):
            raise ValueError(
                f"submission.files: {counted(len(self.submission.files), 'files')} for "
                f"{counted(len(self.test), 'test splits')}"
            )
        return self


def nested(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Values by column as nested objects, where dots lead into these: {"labels": {"label": ...}}."""
    found: dict[str, Any] = {}
    for column, value in values:
        *path, last = column.split(".")
        place = found
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
    return found


def filled(row: Row, column: str, text: str, remedy: str = "fix or remove the row") -> str:
    """A text. Raises DataError, with this hint, if it is blank."""
    if not text.strip():
        raise DataError(f"{row.place}: column '{column}' is empty", hint=remedy)
    return text


def numbered(labels: Iterable[str]) -> str:
    """Names with their numbers, for messages."""
    return ", ".join(f"{number} {name}" for number, name in enumerate(labels))


def number_of(value: Any, labels: tuple[str, ...]) -> int | None:
    """The number of the class that a value of the data means; None if it is none.

    A value is a name, or its index. If names are numbers themselves, a number is a name. 1.0 and "1.0" are 1, as
    pandas writes whole numbers in a column with gaps. true and false are the classes of these names, or yes and no.
    """
    if isinstance(value, bool):
        called = [name for name in labels if name.lower() in (("yes", "true") if value else ("no", "false"))]
        return labels.index(called[0]) if len(called) == 1 else None
    if str(value) in labels:
        return labels.index(str(value))
    number = whole(value)
    if any(name.isdecimal() for name in labels):
        return labels.index(str(number)) if str(number) in labels else None
    return number if number is not None and 0 <= number < len(labels) else None


def class_of(row: Row, column: str, labels: tuple[str, ...]) -> float:
    """The number of a row's class among `labels`: number_of. Raises DataError if it is none."""
    value = row.get(column)
    number = number_of(value, labels)
    if number is not None:
        return float(number)
    raise DataError(
        f"{row.place}: column '{column}' holds {json_value(value)}; expected one of {numbered(labels)}",
        hint="its label is hidden or was not agreed on: remove the row, or name a split with labels; classification "
        f"leaves such rows out: task.label_map={{{json_value(label_name(value))}: null}}"
        if is_hidden(value)
        else "fix the row, or list the class in the task's labels, in the order of their numbers",
    )
