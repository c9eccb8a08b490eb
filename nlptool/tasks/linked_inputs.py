"""Keys for linking the inputs of a text or pair task to a graph. No torch here."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from nlptool.recipe import RecipeBlock
from nlptool.tasks import marked_text
from nlptool.tasks.marked_text import LinkedTaskConfig, Mention
from nlptool.text.tabular import Row


class Links(RecipeBlock):
    """Where mentions of entities come from."""

    columns: tuple[str, ...] = Field(
        (),
        max_length=2,
        description="columns of the mentions, one for each of inputs: lists of [entity, begin, end] or [entity, begin, "
        "end, score], by characters of the text; none: the graph's labels are searched in the texts",
    )
    threshold: float = Field(0.3, description="columns: mentions with a higher score are linked")
    ambiguous: Literal["frequent", "none"] = Field(
        "frequent",
        description="labels: if several entities share one, link the entity with most triples, or none",
    )
    shortest: int = Field(2, ge=1, description="labels: fewest characters of a label")

    def idle(self) -> dict[str, str]:
        """Keys that matter for one of the two sources only."""
        if self.columns:
            return dict.fromkeys(("ambiguous", "shortest"), "links.columns has the mentions")
        return {"threshold": "the graph's labels are searched, as links.columns is empty"}


class LinkedInputsConfig(LinkedTaskConfig):
    """The base of tasks on a text or a pair; with a graph, ERNIE also reads the entities."""

    inputs: tuple[str, ...] = Field(min_length=1, max_length=2, description="columns of the text, or of both")
    links: Links = Field(Links(), description="source of entity mentions; nothing is linked without a graph")

    @model_validator(mode="after")
    def _mentions_of_each_text(self) -> Self:
        if self.links.columns and len(self.links.columns) != len(self.inputs):
            raise ValueError(f"links.columns: one for each of inputs, {', '.join(self.inputs)}")
        return self

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The text, or both; empty if rows also have mentions."""
        return () if self.graph is not None and self.links.columns else self.inputs

    def shown(self, row: Row) -> str:
        """The text, or both."""
        return " | ".join(str(row.get(column)) for column in self.inputs)

    def mentions(self, row: Row, texts: Sequence[str]) -> list[list[Mention]]:
        """The mentions of each text in links.columns. Raises DataError, with the row's place, for an invalid span."""
        pairs = zip(self.links.columns, texts, strict=True)
        return [marked_text.annotations(row, column, text, self.links.threshold) for column, text in pairs]
