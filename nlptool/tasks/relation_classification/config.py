"""The recipe block of relation classification. No torch here."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from nlptool.evaluation.metrics import relation_extraction
from nlptool.models.config import ModelConfig
from nlptool.recipe import OneOf
from nlptool.tasks.config import class_of
from nlptool.tasks.marked_text import MarkedText, MarkedTextConfig, mark
from nlptool.tasks.relation_classification import forms
from nlptool.text.tabular import Row

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.relation_classification.objective import RelationClassification

Metric = Annotated[str, OneOf(relation_extraction.METRICS)]
HEAD, TAIL = "#", "$"
NOT_AVAILABLE = "NA"


class Config(MarkedTextConfig):
    """The relation between two mentions of a text (Zhang et al. 2019, section 4.4).

    The head is marked as `# head #`, the tail as `$ tail $`, and the first token's state is classified. Rows have
    the forms of FewRel, TACRED, KLUE-RE or ERNIE's released data, recognised by their columns. With `graph` and
    `entity_embeddings` mentions are linked to entities: those of the column `ann` if rows have it, else head and
    tail. Without, an encoder reads the same marks, as the baseline does.
    """

    name: Literal["relation_classification"] = Field("relation_classification", description="kind of task")
    no_relation: str | None = Field(
        None, description="the class that is not a relation, and does not count in micro and macro metrics"
    )
    metrics: tuple[Metric, ...] = Field(
        ("micro_f1", "macro_f1", "accuracy"),
        min_length=1,
        description="metrics on the validation rows; the first one selects the best checkpoint",
    )

    @model_validator(mode="after")
    def _one_of_the_labels(self) -> Self:
        if self.no_relation is not None and self.no_relation not in self.labels:
            raise ValueError(f"no_relation: {self.no_relation} is none of the labels")
        return self

    @property
    def label_width(self) -> int:
        """One number, the relation's."""
        return 1

    def flat(self, row: Row) -> Iterable[Row]:
        """The rows of FewRel's own file, an object with a list of rows for each relation."""
        return forms.flat(row, self.labels)

    def marked(self, row: Row) -> MarkedText:
        """The text with its head and tail marked. Raises DataError for an invalid row or an unknown form."""
        found = forms.read(row, self.threshold)
        marked = mark(found.text, [(found.head, HEAD), (found.tail, TAIL)], found.linked)
        head, tail = found.head.entity, found.tail.entity
        return marked._replace(pair=None if head is None or tail is None else (head, tail))

    def label_of(self, row: Row) -> tuple[float, ...]:
        """The number of the relation; `NA`, in ERNIE's data, is no_relation."""
        column = forms.label_column(row)
        if self.no_relation is not None and row.get(column) == NOT_AVAILABLE not in self.labels:
            return (float(self.labels.index(self.no_relation)),)
        return (class_of(row, column, self.labels),)

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None
    ) -> "RelationClassification":
        """An encoder with the head of its family."""
        from nlptool.tasks.relation_classification.objective import build

        return build(self, model, vocabulary, dropout)
