"""The recipe block of questions answered by a decoder. No torch here."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError, RecipeError
from nlptool.evaluation.metrics import generated_text
from nlptool.evaluation.metrics.text_overlap import Tokenize
from nlptool.formatting import json_value
from nlptool.models.config import ModelConfig
from nlptool.recipe import Named, OneOf
from nlptool.registry import DiscriminatedBy
from nlptool.tasks.config import TaskConfig, class_of, filled
from nlptool.tasks.text_generation.decanlp_formats import FORMS, DecaNLPExample
from nlptool.text.column_profile import Table
from nlptool.text.config import RowSource
from nlptool.text.tabular import Row

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.text_generation.objective import TextGeneration

Metric = Annotated[str, OneOf((*generated_text.METRICS, "sum"))]
COLUMN = re.compile(r"\{([\w.]+)\}")
QUESTIONS = ("question", "instruction", "prompt", "source", "article", "질문", "지시")
CONTEXTS = ("context", "input", "passage", "본문", "입력")
ANSWERS = ("answer", "output", "response", "completion", "target", "summary", "답변", "정답", "응답", "출력")
"""Usual names of such columns, in order of preference."""
UNANSWERABLE = "unanswerable"


class SubtaskConfig(TaskConfig):
    """A question about a context gets a generated answer, as in decaNLP (McCann et al. 2018).

    In `question` and `context`, {premise} is replaced by the text of the column `premise`; dots lead into objects
    and lists: {translation.en}, {options.0}. The model reads `Context: ... Question: ... Answer:` and is trained on
    the answer and the end of the text.
    """

    kinds = ("decoder",)
    frames_texts = False

    name: Literal["text_generation"] = Field("text_generation", description="kind of task")
    format: Literal["columns", "qa_srl", "qa_zre", "woz", "wikisql"] = Field(
        "columns", description="how a row is read: by the columns named here, or as this data set's rows are"
    )
    question: str = Field("", description="question template, with {column} for a row's columns")
    context: str = Field("", description="context template; a long context is truncated at its end")
    answer: str = Field(
        "answer",
        description="column of the answer, or of a list, whose first entry is the target; an empty list: unanswerable",
    )
    labels: tuple[str, ...] = Field((), description="answers by number, where the column holds a number")
    metrics: tuple[Metric, ...] = Field(
        min_length=1, description="metrics on the validation rows; the first one selects the best checkpoint"
    )
    tokenize: Tokenize = Field(Tokenize(), description="tokenizers of ROUGE and BLEU")
    max_new_tokens: int = Field(
        50, gt=0, description="maximum length of a target or generated answer, in tokens"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check()
        return self

    def _check(self) -> None:
        if (self.format == "columns") != bool(self.question):
            raise ValueError("question: needed with format: columns, and with it only")
        if self.format != "columns" and (self.context or self.labels):
            raise ValueError(f"format: {self.format} says what the context and the answers are")
        for metric, form in (("joint_goal", "woz"), ("logical_form", "wikisql")):
            if metric in self.metrics and self.format != form:
                raise ValueError(f"metrics: {metric} is for format: {form}")
        if not self.metrics or "sum" in self.metrics:
            raise ValueError("metrics: at least one, such as exact; sum is for several tasks")
        if wrong := self.tokenize.without_effect(self.metrics):
            raise ValueError(wrong)
        if self.submission is not None:
            raise ValueError("submission: answers are in the predictions file only")

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns in braces of the context, then those of the question."""
        return tuple(dict.fromkeys(COLUMN.findall(self.context) + COLUMN.findall(self.question)))

    @classmethod
    def suits(cls, table: Table, given: Mapping[str, Any]) -> bool:
        """Whether there is a question column and an answer column."""
        return table.first(QUESTIONS) is not None and table.first(ANSWERS) is not None

    @classmethod
    def infer(cls, table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
        """The question, its context if there is one, and the answer, compared exactly and by words."""
        question, context, answer = table.first(QUESTIONS), table.first(CONTEXTS), table.first(ANSWERS)
        if ("question" not in given and question is None) or ("answer" not in given and answer is None):
            raise RecipeError(
                f"{table.name}: which columns are the question and the answer? It has {table.listing}",
                hint='task.question="{COLUMN}" task.answer=COLUMN',
            )
        found: dict[str, Any] = {"metrics": ("squad_f1", "exact")}
        if question is not None:
            found["question"] = f"{{{question.name}}}"
        if context is not None and context.blank == 0:
            found["context"] = f"{{{context.name}}}"
        return found if answer is None else found | {"answer": answer.name}

    def examples(self, row: Row, *, labelled: bool) -> list[DecaNLPExample]:
        """The questions of a row. Raises DataError, with the row's place, for an invalid row."""
        if self.format != "columns":
            return FORMS[self.format](row, labelled=labelled)
        answers = self._answers(row) if labelled else ("",)
        return [DecaNLPExample(_fill(row, self.question), _fill(row, self.context), answers[0], answers)]

    def _answers(self, row: Row) -> tuple[str, ...]:
        if self.labels:
            return (self.labels[int(class_of(row, self.answer, self.labels))],)
        value = row.get(self.answer)
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts):
            raise DataError(
                f"{row.place}: column '{self.answer}' holds {json_value(value)}; a text is expected, or a "
                "list of texts",
                hint="fix the row, or list the answers in the task's labels, in the order of their numbers",
            )
        return tuple(filled(row, self.answer, text).strip() for text in texts) or (UNANSWERABLE,)


class Config(SubtaskConfig):
    """One such task, or several that one model learns together, a batch of each in turn.

    If there are several, each has its rows in a folder of its name: FOLDER/squad/train.jsonl. `sum`, that of the first
    metric of each, chooses the best checkpoint; of decaNLP's ten tasks it is their decaScore, 100 times that.
    """

    metrics: tuple[Metric, ...] = Field(
        (), description="metrics on the validation rows; the first one selects the best checkpoint"
    )
    tasks: dict[
        str, Annotated[SubtaskConfig, Named(DiscriminatedBy("tasks"), "tasks", "task", SubtaskConfig)]
    ] = Field(
        {},
        description="in place of all other keys: several tasks by the names of their folders, e.g. sst: deca/sst",
    )

    @property
    def parts(self) -> dict[str, SubtaskConfig]:
        """The tasks by name; the name of a single one is empty."""
        return dict(self.tasks) or {"": self}

    @property
    def train_splits(self) -> tuple[str, ...]:
        """The training split of each task."""
        return tuple(f"{name}/{task.train}" for name, task in self.tasks.items()) or (self.train,)

    def part(self, split: str) -> tuple[str, SubtaskConfig]:
        """The task of a split, and its name."""
        name = split.rpartition("/")[0] if self.tasks else ""
        return name, self.parts[name]

    def source_of(self, split: str) -> RowSource | None:
        """The source of a split, unless a folder is given."""
        _, task = self.part(split)
        return super().source_of(split) if task is self else task.source_of(split.rpartition("/")[2])

    @property
    def scored(self) -> tuple[str, ...]:
        """The scored metrics; those of each task, if there are several."""
        if not self.tasks:
            return super().scored
        return tuple(f"{name}/{figure}" for name, task in self.tasks.items() for figure in task.scored)

    def heading(self, split: str) -> str:
        """With several tasks, a metric has the prefix of its task."""
        name, task = self.part(split)
        inside = super().heading(split) if task is self else task.heading(split.rpartition("/")[2])
        return f"{name}/{inside}" if name else inside

    def _check(self) -> None:
        if not self.tasks:
            super()._check()

    @model_validator(mode="after")
    def _together(self) -> Self:
        if not self.tasks:
            return self
        if bad := [name for name in self.tasks if not name or "/" in name]:
            raise ValueError(f"tasks: {json_value(bad[0])} is not a folder name")
        found: dict[str, Any] = {
            split: tuple(
                f"{name}/{inside}" for name, task in self.tasks.items() for inside in getattr(task, split)
            )
            for split in ("validation", "test")
        }
        each = (metric for task in self.tasks.values() for metric in task.metrics)
        found["metrics"] = ("sum", *dict.fromkeys(each))
        derived = {**found, "max_new_tokens": max(task.max_new_tokens for task in self.tasks.values())}
        for key in self.model_fields_set - {"name", "tasks", "train"}:
            default = type(self).model_fields[key].default
            if getattr(self, key) not in (derived.get(key, default), default):
                raise ValueError(f"{key}: each of the tasks has its own")
        return self.model_copy(update=derived)

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "TextGeneration":
        """A decoder; its head is its word embeddings. Raises DataError without an end of text."""
        from nlptool.tasks.text_generation.multitask import build

        return build(self, model, vocabulary, dropout)


def _fill(row: Row, template: str) -> str:
    """The template with each column's text in it."""

    def text(found: re.Match[str]) -> str:
        value: Any = row.text(found[1])
        return filled(row, found[1], value).strip()

    return COLUMN.sub(text, template)
