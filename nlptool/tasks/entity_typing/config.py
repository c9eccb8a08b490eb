"""The recipe block of entity typing. No torch here."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nlptool.errors import DataError
from nlptool.evaluation.metrics import entity_typing
from nlptool.formatting import json_value
from nlptool.models.config import ModelConfig
from nlptool.recipe import OneOf
from nlptool.tasks import marked_text
from nlptool.tasks.config import number_of, numbered
from nlptool.tasks.marked_text import MarkedText, MarkedTextConfig, Mention, mark
from nlptool.text.tabular import Row, whole

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.entity_typing.objective import EntityTyping

Metric = Annotated[str, OneOf(entity_typing.METRICS)]
MARK = "。"
FORMS = {
    "ERNIE's": "sent, start, end, ents [[entity, begin, end, score]], labels",
    "FIGER's": "tokens, mentions [{start, end, labels}], by words, end not included",
}


class Config(MarkedTextConfig):
    """Entity typing: any number of types for a mention in a text (Zhang et al. 2019, section 4.3).

    The mention is marked as `。 mention 。`; the first token's state gives a logit for each type, trained with binary
    cross-entropy. Rows have the form of ERNIE's released OpenEntity and FIGER data, or FIGER's own, recognised by
    their columns. With `graph` and `entity_embeddings` the mentions of `ents` are linked to entities; without, an
    encoder reads the same marks, as the baseline does.
    """

    name: Literal["entity_typing"] = Field("entity_typing", description="kind of task")
    argmax_fallback: bool = Field(
        False,
        description="whether a mention to which no type is given gets the most probable one, as FIGER's script in the "
        "released code does",
    )
    metrics: tuple[Metric, ...] = Field(
        ("loose_micro_f1", "loose_macro_f1", "strict_accuracy"),
        min_length=1,
        description="metrics on the validation rows; the first one selects the best checkpoint",
    )

    @property
    def label_width(self) -> int:
        """One number for each type."""
        return len(self.labels)

    def flat(self, row: Row) -> Iterable[Row]:
        """A row for each mention of FIGER's form."""
        mentions = row.values.get("mentions")
        if "tokens" not in row.values or not isinstance(mentions, list):
            return (row,)
        rest = {name: value for name, value in row.values.items() if name != "mentions"}
        return (
            Row(f"{row.place}: mentions[{number}]", {**rest, **one})
            for number, one in enumerate(mentions)
            if isinstance(one, dict)
        )

    def marked(self, row: Row) -> MarkedText:
        """The text with the mention marked. Raises DataError for an invalid row or an unknown form."""
        linked: list[Mention] = []
        if marked_text.has(row, "sent", "start", "end"):
            text = marked_text.text_of(row, "sent")
            begin, end = whole(row.get("start")), whole(row.get("end"))
            span = Mention(*marked_text.stretch(row, "start", text, begin, end))
            if "ents" in row.values:
                linked = marked_text.annotations(row, "ents", text, self.threshold)
        elif marked_text.has(row, "tokens", "start", "end"):
            text, begins = marked_text.words(row, "tokens")
            last = whole(row.get("end"))
            stop = None if last is None else last - 1
            span = Mention(*marked_text.words_stretch(row, "start", begins, row.get("start"), stop))
        else:
            raise marked_text.no_form(row, FORMS)
        return mark(text, [(span, MARK)], linked)

    def label_of(self, row: Row) -> tuple[float, ...]:
        """1 for each type of the mention, else 0. Raises DataError for an unknown type."""
        given = row.get("labels")
        if not isinstance(given, list):
            raise DataError(
                f"{row.place}: column 'labels' holds {json_value(given)}; a list of types is expected"
            )
        found = {number_of(one, self.labels): one for one in given}
        if None in found:
            listed = numbered(self.labels[:12]) + (", ..." if self.labels[12:] else "")
            raise DataError(
                f"{row.place}: labels: {json_value(found[None])} is not a type of the task: {listed}",
                hint="fix the row, or list the type in the task's labels",
            )
        return tuple(float(number in found) for number in range(len(self.labels)))

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "EntityTyping":
        """An encoder with the head of its family."""
        from nlptool.tasks.entity_typing.objective import build

        return build(self, model, vocabulary, dropout)
