"""The recipe block of multiple choice. No torch here."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nlptool.errors import RecipeError
from nlptool.formatting import counted
from nlptool.models.config import ModelConfig
from nlptool.tasks.choices import ChoiceConfig
from nlptool.tasks.column_roles import given_column, label_column, text_columns
from nlptool.text.column_profile import Column, Table

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.multiple_choice.objective import MultipleChoice


LISTS = ("choices", "options", "endings", "candidates", "선택지", "보기")
NUMBERED = re.compile(
    r"(choice|option|op|ending|answer|sol|solution|alternative|보기|선택지)[ _]?([0-9]|[a-e])"
)
"""Names of choice columns: one with lists, or several with one choice each."""
LETTERS, CIRCLED = "ABCDEFGH", "①②③④⑤⑥⑦⑧"
"""Names of choice columns, three or more, and of choices, as in MMLU; names of choices in Korean exams."""
RIGHT = ("label", "labels", "gold_label", "answer", "answerkey", "gold", "correct", "cop", "정답")
"""Names of the label column."""
MANY = 20
"""Rows from which labels without a 0 are taken to be counted from 1."""
QUESTIONS = (
    ("premise", "question"),
    *((text, "question") for text in ("context", "passage", "article", "paragraph", "support")),
    *((text, question) for text in ("지문", "본문", "문맥") for question in ("질문", "문제")),
    *(("sent1", "sent2"), ("ctx",), ("goal",), ("question",)),
)
"""Names of the question columns: the first entry whose columns all exist."""


class Config(ChoiceConfig):
    """Choice among several texts, as for SWAG (Devlin et al. 2019, section 4.4): each is read with the question."""

    one_decision = True

    name: Literal["multiple_choice"] = Field("multiple_choice", description="kind of task")

    @classmethod
    def suits(cls, table: Table, given: Mapping[str, Any]) -> bool:
        """Whether there are choices, in columns or in a list, and a label.

        A label whose name does not say that it is the right choice must name choices.
        """
        choices, label = cls._choice_columns(table, given), cls._label(table, given)
        if not choices or label is None or label.name in choices:
            return False
        named = "choices" in given or label.name.strip().lower() in RIGHT
        return named or _names(table, choices, label) is not None

    @classmethod
    def infer(cls, table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
        """The question, the choices, and the values of the label."""
        choices, label = cls._choice_columns(table, given), cls._label(table, given)
        if not choices or label is None:
            raise RecipeError(
                f"{table.name}: which columns are the choices and the label? It has {table.listing}",
                hint="task.choices=[COLUMN, COLUMN], or the one that holds a list; task.label=COLUMN",
            )
        labels = given["labels"] if "labels" in given else _names(table, choices, label)
        if labels is None:
            values = "too many different" if label.many else counted(len(label.values), "different")
            raise RecipeError(
                f"{table.name}: column '{label.name}' holds {values} labels, which do not name the choices in "
                f"{', '.join(choices)}",
                hint="task.labels=[NAME, NAME] lists the names of the choices, in their order; or "
                "task.name=classification, if the rows have no choices",
            )
        others = [label, *(table.columns[name] for name in choices)]
        named = next((found for names in QUESTIONS if (found := table.all(names))), ())
        if "inputs" in given or not named:
            inputs = text_columns(table, given, others)
        else:
            inputs = tuple(column.name for column in named)
        return {"inputs": inputs, "choices": choices, "label": label.name, "labels": labels}

    @staticmethod
    def _label(table: Table, given: Mapping[str, Any]) -> Column | None:
        found = table.first(RIGHT) if "label" not in given else None
        return found if found is not None and not found.lists else label_column(table, given)

    @staticmethod
    def _choice_columns(table: Table, given: Mapping[str, Any]) -> tuple[str, ...]:
        if "choices" in given:
            names = given["choices"] if isinstance(given["choices"], tuple | list) else [given["choices"]]
            return tuple(given_column(table, "choices", name).name for name in names)
        listed = table.first(LISTS)
        if listed is not None and listed.lists == table.count:
            return (listed.name,)
        found = [name for name in table.columns if NUMBERED.fullmatch(name.lower())]
        if len(found) > 1:
            return tuple(found)
        letters = [name for name in LETTERS if name in table.columns]
        return tuple(letters) if len(letters) > 2 and "".join(letters) == LETTERS[: len(letters)] else ()

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "MultipleChoice":
        """An encoder with a head of one output."""
        from nlptool.tasks.multiple_choice.objective import build

        return build(self, model, vocabulary, dropout)


def _names(table: Table, choices: Sequence[str], label: Column) -> tuple[str, ...] | None:
    """The names of the choices by the values of the label; None where these name no choices.

    The values are places from 0 or 1, letters, columns, names that the file notes, or the right choices' texts; the
    choices are then called by their places.
    """
    width = len(choices) if len(choices) > 1 else max(len(row.get(choices[0])) for row in table.rows())
    places, letters = tuple(map(str, range(width))), tuple(LETTERS[:width])
    counted_from_1 = tuple(str(place + 1) for place in range(width))
    lower, circled = tuple(map(str.lower, letters)), tuple(CIRCLED[:width])
    for names in (places, counted_from_1, letters, lower, circled, tuple(choices)):
        if names is places and "0" not in label.values and table.count >= MANY:
            continue
        if len(names) == width and label.values and set(label.values) <= set(names):
            return names
    if len(label.classes) == width:
        return label.classes
    return places if _are_texts(table, choices, label) else None


def _are_texts(table: Table, choices: Sequence[str], label: Column) -> bool:
    """Whether the label of each row is the text of one of its choices."""
    for row in table.rows():
        texts = row.get(choices[0]) if len(choices) == 1 else [row.get(column) for column in choices]
        if row.get(label.name) not in texts:
            return False
    return True
