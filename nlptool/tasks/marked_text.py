"""Texts with marked mentions, as in ERNIE's fine-tuning (Zhang et al. 2019, section 3.5), and their entities.

A mark is separated from a mention by a space: `# Seoul #`. Marks are characters of the text, so any encoder reads
them; with a graph, ERNIE also reads the entities. No torch here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.models.config import ModelConfig
from nlptool.recipe import Problem
from nlptool.tasks.config import TaskConfig, filled
from nlptool.text.tabular import Row, whole

if TYPE_CHECKING:
    from nlptool.knowledge.entity_table import EntityTable

ANNOTATIONS = "ann"
BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}
"""Brackets as the Penn Treebank writes them."""


class Mention(NamedTuple):
    """A span of a text that may name an entity."""

    begin: int
    end: int
    """Characters: the first, and the one after the last."""
    entity: str | None = None
    """The name of the entity in the graph; None: unknown."""
    score: float = 1.0
    """Confidence of the linker."""


class MarkedText(NamedTuple):
    """A text with its marks, and its mentions of entities."""

    text: str
    needed: int
    """Characters up to the end of the last mark."""
    mentions: tuple[Mention, ...]
    """Mentions with an entity, by their places in this text."""
    pair: tuple[str, str] | None = None
    """The entities whose relation is predicted, if both are known."""


class LinkedTaskConfig(TaskConfig):
    """The base of tasks whose texts may be linked to a graph."""

    folders: ClassVar[tuple[str, ...]] = ("graph", "entity_embeddings")

    graph: str | None = Field(
        None, description="knowledge graph whose entities the mentions name; null: no mention is linked"
    )
    entity_embeddings: str | None = Field(
        None,
        description="vectors of the graph's entities: the final/ of a run of pretrain-transe; needs graph",
    )

    @model_validator(mode="after")
    def _linked_by_both(self) -> Self:
        if (self.graph is None) != (self.entity_embeddings is None):
            raise ValueError(
                "graph and entity_embeddings: give both, or neither to read texts without entities"
            )
        return self

    def check(self, model: ModelConfig) -> list[Problem]:
        """The model must be an encoder, and read entities if there are any."""
        problems = super().check(model)
        if not problems and self.graph is not None and not model.reads_entities:
            problem = f"{model.name} reads no entities; leave task.graph and task.entity_embeddings out"
            problems.append(Problem("task.graph", f"{problem}, or begin from ernie"))
        return problems

    def entity_table(self) -> "EntityTable | None":
        """The graph and its embeddings, opened; None if the task names none. Raises DataError."""
        if self.graph is None or self.entity_embeddings is None:
            return None
        from nlptool.knowledge.entity_table import EntityTable

        return EntityTable(Path(self.graph), Path(self.entity_embeddings))


class MarkedTextConfig(LinkedTaskConfig):
    """The base of tasks on marked mentions."""

    labels: tuple[str, ...] = Field(min_length=2, description="names of the classes")
    threshold: float = Field(
        0.3, description="annotations with a higher score are linked; the marked head and tail always are"
    )

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: different names")
        return self

    def marked(self, row: Row) -> MarkedText:
        """The model's input for a row. Raises DataError, with the row's place, for an invalid row."""
        raise NotImplementedError

    def label_of(self, row: Row) -> tuple[float, ...]:
        """The label as numbers. Raises DataError."""
        raise NotImplementedError

    @property
    def label_width(self) -> int:
        """Numbers of a label."""
        raise NotImplementedError

    def shown(self, row: Row) -> str:
        """The marked text."""
        return self.marked(row).text


def mark(text: str, spans: Sequence[tuple[Mention, str]], linked: Sequence[Mention]) -> MarkedText:
    """Put a mark on both sides of each span. linked: mentions by their places in the original text.

    Spans may be nested; of two equal ones the first encloses the second.
    """
    inserted: list[
        tuple[int, int, int, int, str]
    ] = []  # place, closing first, order among these, number, text
    for number, (span, sign) in enumerate(spans):
        size = span.end - span.begin
        inserted.append((span.begin, 1, -size, number, f"{sign} "))
        inserted.append((span.end, 0, size, -number, f" {sign}"))
    inserted.sort()
    parts, done = list[str](), 0
    for place, _, _, _, what in inserted:
        parts += [text[done:place], what]
        done = place
    needed = len("".join(parts))

    def behind(place: int) -> int:
        """The new position of a character."""
        return place + sum(len(what) for at, _, _, _, what in inserted if at <= place)

    found = tuple(
        one._replace(begin=behind(one.begin), end=behind(one.end - 1) + 1)
        for one in linked
        if one.entity is not None
    )
    return MarkedText("".join([*parts, text[done:]]), needed, found)


def mention(row: Row, column: str, text: str, values: Sequence[Any] | None = None) -> Mention:
    """`[entity, begin, end]` or `[entity, begin, end, score]` of a column. Raises DataError for an invalid span."""
    given = row.get(column) if values is None else values
    if not isinstance(given, list) or len(given) not in (3, 4):
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(given)}; [entity, begin, end, score] is expected"
        )
    entity, begin, end = given[0], whole(given[1]), whole(given[2])
    score = given[3] if len(given) == 4 else 1.0
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise DataError(
            f"{row.place}: column '{column}': {json_value(score)} is not a score, a number from 0 to 1"
        )
    return Mention(*stretch(row, column, text, begin, end), entity_name(row, column, entity), float(score))


def stretch(row: Row, column: str, text: str, begin: int | None, end: int | None) -> tuple[int, int]:
    """The bounds of a mention. Raises DataError if they are outside of the text, or enclose white space only."""
    if begin is None or end is None or not 0 <= begin < end <= len(text) or not text[begin:end].strip():
        shown = f"{json_value(begin)} to {json_value(end)}"
        raise DataError(
            f"{row.place}: column '{column}': characters {shown} are not a span of the text, which has {len(text):,}",
            hint="from the first character to the one after the last, counted from 0; fix or remove the row",
        )
    return begin, end


def entity_name(row: Row, column: str, value: Any) -> str | None:
    """The name of an entity; None where a linker found none: null, -1, empty or UNK."""
    if value is None or value in ("", "UNK", -1):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f"{row.place}: column '{column}': {json_value(value)} is not the name of an entity")
    return str(value)


def annotations(row: Row, column: str, text: str, threshold: float) -> list[Mention]:
    """The mentions of a column, a list of `[entity, begin, end, score]`, with a score above the threshold."""
    given = row.get(column)
    if not isinstance(given, list):
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(given)}; a list is expected, each "
            "[entity, begin, end, score]"
        )
    found = [mention(row, column, text, one) for one in given]
    return [one for one in found if one.score > threshold]


def words(row: Row, column: str) -> tuple[str, list[int]]:
    """A list of words joined by spaces; and the place where each word begins, and the end.

    Word i begins at the i-th number, and ends one before the next number.
    """
    given = row.get(column)
    given_words = given if isinstance(given, list) else []
    words = [BRACKETS.get(word, word) for word in given_words if isinstance(word, str)]
    if not words or len(words) < len(given_words):
        raise DataError(
            f"{row.place}: column '{column}' holds {json_value(given)}; a list of words is expected"
        )
    begins = [0]
    for word in words:
        begins.append(begins[-1] + len(word) + 1)
    return " ".join(words), begins


def words_stretch(row: Row, column: str, begins: list[int], first: Any, last: Any) -> tuple[int, int]:
    """The characters of words `first` to `last`, inclusive. Raises DataError where there are no such words."""
    one, other = whole(first), whole(last)
    if one is None or other is None or not 0 <= one <= other < len(begins) - 1:
        shown = f"{json_value(first)} to {json_value(last)}"
        raise DataError(
            f"{row.place}: column '{column}': words {shown} are none of the {len(begins) - 1:,} words, counted from 0",
            hint="fix or remove the row",
        )
    return begins[one], begins[other + 1] - 1


def has(row: Row, *columns: str) -> bool:
    """Whether a row has all these columns."""
    return all(column in row.values for column in columns)


def text_of(row: Row, column: str) -> str:
    """A text that is not blank. Raises DataError."""
    return filled(row, column, row.text(column))


def no_form(row: Row, forms: Mapping[str, str]) -> DataError:
    """The error for a row in none of a task's forms. forms: the columns of each, by its name."""
    names = ", ".join(json_value(name) for name in list(row.values)[:8]) or "none"
    listed = "; ".join(f"{name}: {columns}" for name, columns in forms.items())
    return DataError(f"{row.place}: its columns are {names}", hint=f"rows are read in these forms. {listed}")
