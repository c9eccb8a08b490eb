"""The recipe block of extractive question answering. No torch here."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError
from nlptool.formatting import counted, json_value
from nlptool.models.config import ModelConfig
from nlptool.tasks.config import TaskConfig, filled
from nlptool.text import squad_files
from nlptool.text.column_profile import Table
from nlptool.text.tabular import Question, Row

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.extractive_qa.objective import ExtractiveQA

Metric = Literal[
    "squad_f1",
    "squad_exact",
    "korquad_f1",
    "korquad_exact",
    "squad2_best_f1",
    "squad2_best_exact",
    "squad2_f1",
    "squad2_exact",
]


class Config(TaskConfig):
    """The answer is a span of a text (Devlin et al. 2019, sections 4.2 and 4.3).

    Rows have the hub's columns, id, question, context and answers (text, answer_start), or are SQuAD's own files
    (Rajpurkar et al. 2016, 2018). Without a column id, a row's file and line are its id. Metrics are shares from 0
    to 1, as everywhere in nlptool; the papers have per cent. The limits have the names and values of
    google-research/bert run_squad.py.
    """

    name: Literal["extractive_qa"] = Field("extractive_qa", description="kind of task")
    metrics: tuple[Metric, ...] = Field(
        ("squad_f1", "squad_exact"),
        min_length=1,
        description="metrics on the validation rows; the first one selects the best checkpoint",
    )
    unanswerable: bool = Field(False, description="whether a question may have no answer, as in SQuAD 2.0")

    max_query_length: int = Field(
        64, gt=0, description="maximum tokens of a question; a longer one is truncated at its end"
    )
    max_answer_length: int = Field(30, gt=0, description="maximum tokens of a predicted answer")
    doc_stride: int = Field(
        128,
        gt=0,
        description="tokens from the start of a window to that of the next; never more than half a window",
    )
    n_best_size: int = Field(20, gt=0, description="candidate answers per question in the predictions file")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = [name for name in self.metrics if name.startswith("squad2_") != self.unanswerable]
        if wrong:
            only = (
                "are for unanswerable: true only"
                if not self.unanswerable
                else "know no unanswerable questions"
            )
            raise ValueError(f"metrics: {', '.join(wrong)} {only}")
        return self

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The question, then the context."""
        return ("question", "context")

    @classmethod
    def suits(cls, table: Table, given: Mapping[str, Any]) -> bool:
        """Whether the columns are those of SQuAD's rows."""
        return {"question", "context", "answers"} <= set(table.columns)

    @classmethod
    def infer(cls, table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
        """Whether questions may be unanswerable, and how answers are compared: in Korean by characters."""
        texts = [_texts(row) for row in table.rows()]
        if not all(texts):
            return {"unanswerable": True, "metrics": ("squad2_best_f1", "squad2_best_exact")}
        hangul = sum(any("가" <= sign <= "힣" for sign in found[0]) for found in texts)
        name = "korquad" if hangul > len(texts) / 2 else "squad"
        return {"metrics": (f"{name}_f1", f"{name}_exact")}

    def flat(self, row: Row) -> Iterable[Row]:
        """The questions of a SQuAD file, with nested data, paragraphs and qas; any other row unchanged."""
        return squad_files.questions(row)

    def question(self, row: Row, *, labelled: bool) -> Question:
        """A row's question. Raises DataError, with the row's place, for an invalid row."""
        number = row.get("id") if "id" in row.values else row.place
        if not isinstance(number, str | int) or number == "":
            raise DataError(f"{row.place}: column 'id' holds {json_value(number)}; a text is expected")
        question = filled(row, "question", row.text("question"))
        context = filled(row, "context", row.text("context"))
        answers = self._answers(row, context) if labelled else None
        return Question(row.place, str(number), question, context, answers)

    def _answers(self, row: Row, context: str) -> tuple[tuple[str, int], ...]:
        texts, starts = _list(row, "answers.text", str), _list(row, "answers.answer_start", int)
        if len(texts) != len(starts):
            found = f"{counted(len(texts), 'texts of answers')}, but {counted(len(starts), 'places')}"
            raise DataError(f"{row.place}: {found}")
        if not texts and not self.unanswerable:
            raise DataError(
                f"{row.place}: the question has no answer",
                hint="remove the row, or set unanswerable: true in the task, as tasks/squad/v2 does",
            )
        for text, start in zip(texts, starts, strict=True):
            there = context[start : start + len(text)] if start >= 0 else ""
            if not text.strip() or there != text:
                raise DataError(
                    f"{row.place}: the answer {json_value(text)} is not at character {start} of the context, where "
                    f"{json_value(there)} stands",
                    hint="answer_start counts characters, not bytes or words, from 0",
                )
        return tuple(zip(texts, starts, strict=True))

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "ExtractiveQA":
        """An encoder with a matrix for starts and ends."""
        from nlptool.tasks.extractive_qa.objective import build

        return build(self, model, vocabulary, dropout)


def _texts(row: Row) -> list[str]:
    """The texts of a row's answers that are well formed."""
    answers = row.values["answers"]
    found = answers.get("text") if isinstance(answers, dict) else answers
    texts = [one.get("text") if isinstance(one, dict) else one for one in (found or ())]
    return [text for text in texts if isinstance(text, str)]


def _list(row: Row, column: str, kind: type) -> list[Any]:
    values = row.get(column)
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        what = "texts" if kind is str else "whole numbers"
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(values)}; a list of {what} is expected"
        )
    return values
