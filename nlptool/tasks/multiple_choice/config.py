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
NUMBERED = re.compile(r"(choice|option|ending|answer|보기|선택지)[ _]?([0-9]|[a-e])")
"""Names of choice columns: one with lists, or several with one choice each."""


class Config(ChoiceConfig):
    """Choice among several texts, as for SWAG (Devlin et al. 2019, section 4.4): each is read with the question."""

    one_decision = True

    name: Literal["multiple_choice"] = Field("multiple_choice", description="kind of task")

    @classmethod
    def suits(cls, table: Table, given: Mapping[str, Any]) -> bool:
        """Whether there are choices, in numbered columns or in a list, and a label."""
        return bool(cls._choice_columns(table, given)) and label_column(table, given) is not None

    @classmethod
    def infer(cls, table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
        """The question, the choices, and the values of the label."""
        choices, label = cls._choice_columns(table, given), label_column(table, given)
        if not choices or label is None:
            raise RecipeError(
                f"{table.name}: which columns are the choices and the label? It has {table.listing}",
                hint="task.choices=[COLUMN, COLUMN], or the one that holds a list; task.label=COLUMN",
            )
        inputs = text_columns(table, given, [label, *(table.columns[name] for name in choices)])
        return {
            "inputs": inputs,
            "choices": choices,
            "label": label.name,
            "labels": _names(table, choices, label),
        }

    @staticmethod
    def _choice_columns(table: Table, given: Mapping[str, Any]) -> tuple[str, ...]:
        if "choices" in given:
            names = given["choices"] if isinstance(given["choices"], tuple | list) else [given["choices"]]
            return tuple(given_column(table, "choices", name).name for name in names)
        listed = table.first(LISTS)
        if listed is not None and listed.lists == table.count:
            return (listed.name,)
        found = [name for name in table.columns if NUMBERED.fullmatch(name.lower())]
        return tuple(found) if len(found) > 1 else ()

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "MultipleChoice":
        """An encoder with a head of one output."""
        from nlptool.tasks.multiple_choice.objective import build

        return build(self, model, vocabulary, dropout)


def _names(table: Table, choices: Sequence[str], label: Column) -> tuple[str, ...]:
    """The names of the choices: indices from 0, or the values of the labels."""
    width = len(choices) if len(choices) > 1 else max(len(row.get(choices[0])) for row in table.rows())
    places = tuple(str(place) for place in range(width))
    if set(label.values) <= set(places):
        return places
    named = label.classes or tuple(sorted(label.values))
    if len(named) != width:
        raise RecipeError(
            f"{table.name}: column '{label.name}' holds {counted(len(named), 'different labels')} for {width} choices",
            hint="task.labels=[NAME, NAME] lists the names of the choices, in their order",
        )
    return named
