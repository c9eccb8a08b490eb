"""The recipe block of token classification. No torch here."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nlptool.errors import DataError, RecipeError
from nlptool.evaluation.metrics import ner
from nlptool.formatting import counted, json_value
from nlptool.models.config import ModelConfig
from nlptool.recipe import OneOf
from nlptool.tasks.config import TaskConfig, nested, number_of, numbered
from nlptool.text.column_profile import Column, Table
from nlptool.text.tabular import Row, Sentence, whole

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.token_classification.objective import TokenClassification

Metric = Annotated[str, OneOf(ner.METRICS)]
TOKENS, TAGS = ("tokens", "words", "단어"), ("ner_tags", "tags", "ner", "labels", "pos_tags", "upos", "pos")
"""Usual names of columns of words and of tags, in order of preference."""
BIOES = {"B": "B", "I": "I", "E": "I", "L": "I", "S": "B", "U": "B"}
SUFFIXED = re.compile(r"(.+)[-_]([BIESLU])")
PREFIXED = re.compile(r"[BIESLU]-.+")


class Config(TaskConfig):
    """A tag for each word of a sentence, as for named entities (Devlin et al. 2019, section 5.3).

    Files in CoNLL's columns (train.conll, .bio, .iob, .iob2, .txt) have the word as `tokens`, the last column as
    `ner_tags`. The first piece of a word is tagged. With `characters` the tokens of a row are the characters of a
    text, white space among them, as in KLUE-NER (Park et al. 2021): a piece has the tag of its first character, and
    its others continue it, B-NAME as I-NAME.
    """

    conll = True

    name: Literal["token_classification"] = Field("token_classification", description="kind of task")
    tokens: str = Field("tokens", description="column of the words, a list")
    tags: str = Field(
        "ner_tags", description="column of their tags, a list of names, or of places in labels from 0"
    )
    labels: tuple[str, ...] = Field(
        min_length=2,
        description="names of the tags: O, and B-NAME, I-NAME of each entity; with scheme: none, any names",
    )
    scheme: Literal["iob2", "iob1", "io", "bioes", "none"] = Field(
        "iob2",
        description="tagging scheme of the data, converted to iob2; iob1: an entity begins with B-NAME only where"
        " it follows another of its kind, as in CoNLL-2003's own files; io: I-NAME or NAME alone; "
        "bioes: also S-NAME and E-NAME, or U-NAME and L-NAME; none: tags are no entities, such as "
        "parts of speech",
    )
    characters: bool = Field(False, description="whether tokens are the characters of a text")
    metrics: tuple[Metric, ...] = Field(
        ("entity_f1",),
        min_length=1,
        description="metrics on the validation rows; the first one selects the best checkpoint",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: different names")
        if self.scheme == "none":
            if other := [name for name in self.metrics if name.startswith("entity")]:
                raise ValueError(
                    f"metrics: {other[0]} is of entities; with scheme: none, accuracy or tag_macro_f1"
                )
            return self
        names = {label.partition("-")[2] for label in self.labels if label != "O"}
        expected = {"O", *(f"{kind}-{name}" for name in names for kind in "BI")}
        if set(self.labels) != expected:
            raise ValueError("labels: O, and for each kind of entity both B-NAME and I-NAME, each once")
        return self

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The words, or the text whose characters are tagged."""
        return (self.tokens,)

    def row_of(self, texts: Sequence[str]) -> dict[str, Any]:
        """The values of a row without a label; words are separated by white space."""
        (text,) = texts
        return nested([(self.tokens, list(text) if self.characters else text.split())])

    @classmethod
    def suits(cls, table: Table, given: Mapping[str, Any]) -> bool:
        """Whether a column has lists of words and another one lists of tags."""
        return cls._columns(table, given) is not None

    @classmethod
    def infer(cls, table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
        """The words and the tags."""
        columns = cls._columns(table, given)
        if columns is None:
            raise RecipeError(
                f"{table.name}: which columns are the words and the tags? It has {table.listing}",
                hint="both are lists: task.tokens=COLUMN, task.tags=COLUMN",
            )
        tokens, tags = columns
        if "labels" not in given and all(whole(name) is not None for name in tags.values):
            raise RecipeError(
                f"{table.name}: column '{tags.name}' holds numbers; the names of the tags are not known",
                hint="task.labels=[O, B-NAME, I-NAME, ...] lists them, in the order of their numbers",
            )
        scheme = _scheme(tags, table)
        found = {"tokens": tokens.name, "tags": tags.name, "scheme": scheme}
        if scheme == "none":
            return found | {
                "labels": tags.classes or tuple(sorted(tags.values)),
                "metrics": ("accuracy", "tag_macro_f1"),
            }
        return found | {"labels": tags.classes or _labels(_spelled(tags))}

    @staticmethod
    def _columns(table: Table, given: Mapping[str, Any]) -> tuple[Column, Column] | None:
        tokens = table.columns.get(given["tokens"]) if "tokens" in given else table.first(TOKENS)
        tags = table.columns.get(given["tags"]) if "tags" in given else table.first(TAGS)
        found = [column for column in (tokens, tags) if column is not None and column.lists == table.count]
        return (found[0], found[1]) if len(found) == 2 else None

    def sentence(self, row: Row, *, labelled: bool) -> Sentence:
        """A row's tokens and tags. Raises DataError, with the row's place, for an invalid row."""
        tokens = row.get(self.tokens)
        if tokens == []:
            raise DataError(
                f"{row.place}: column '{self.tokens}' is empty: there are no words to tag",
                hint="remove the row",
            )
        if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
            raise DataError(
                f"{row.place}: column '{self.tokens}' holds {json_value(tokens)}; a list of words is expected"
            )
        tags = self._tags(row, tokens) if labelled else None
        return Sentence(row.place, tuple(tokens), tags, "" if self.characters else " ")

    def _tags(self, row: Row, tokens: list[str]) -> tuple[int, ...]:
        tags = row.get(self.tags)
        if not isinstance(tags, list) or len(tags) != len(tokens):
            what = f"{counted(len(tags), 'tags')}" if isinstance(tags, list) else json_value(tags)
            raise DataError(
                f"{row.place}: column '{self.tags}' holds {what}; a tag for each word is expected, "
                f"{counted(len(tokens), 'tags')}"
            )
        numbers = [self._number(row, place, tag) for place, tag in enumerate(tags)]
        if self.scheme in ("iob1", "io"):
            for place in self.without_beginning([self.labels[number] for number in numbers]):
                numbers[place] = self.labels.index(self.labels[numbers[place]].replace("I-", "B-", 1))
        return tuple(numbers)

    def _number(self, row: Row, place: int, tag: Any) -> int:
        number = number_of(self._as_iob(tag if tag in self.labels else _prefixed(tag)), self.labels)
        if number is not None:
            return number
        raise DataError(
            f"{row.place}: {self.tags}[{place}] is {json_value(tag)}; expected one of {numbered(self.labels)}",
            hint="fix the row, or list the tag in the task's labels, in the order of their numbers",
        )

    def _as_iob(self, tag: Any) -> Any:
        """A tag of the scheme as an IOB tag; the beginnings that IO and IOB1 do not mark are added later."""
        kind, dash, name = str(tag).partition("-")
        if self.scheme == "bioes" and dash and kind in BIOES:
            return f"{BIOES[kind]}-{name}"
        if self.scheme == "io" and isinstance(tag, str) and tag != "O" and not (dash and kind == "I"):
            return f"I-{tag}"
        return tag

    @staticmethod
    def without_beginning(tags: Sequence[str]) -> list[int]:
        """Where an entity begins with I-NAME, as in IOB1: after O, or after an entity of another kind."""
        before = ["O", *tags]
        return [
            place
            for place, tag in enumerate(tags)
            if tag.startswith("I-") and before[place].partition("-")[2] != tag.partition("-")[2]
        ]

    def build(
        self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None
    ) -> "TokenClassification":
        """An encoder with a matrix for tags."""
        from nlptool.tasks.token_classification.objective import build

        return build(self, model, vocabulary, dropout)


def _prefixed(tag: Any) -> Any:
    """B-PER for PER_B, and O for -, the notation of Naver's 2018 challenge; other tags are unchanged."""
    if tag == "-":
        return "O"
    found = SUFFIXED.fullmatch(tag) if isinstance(tag, str) else None
    return tag if found is None or PREFIXED.fullmatch(tag) else f"{found[2]}-{found[1]}"


def _spelled(tags: Column) -> set[str]:
    """The tags of all rows; if each has a suffix in place of a prefix, with prefixes."""
    prefixed = {_prefixed(tag) for tag in tags.values}
    alike = all(tag == "O" or PREFIXED.fullmatch(tag) for tag in prefixed)
    return prefixed if alike else set(tags.values)


def _labels(tags: Iterable[str]) -> tuple[str, ...]:
    """O, then both tags of each entity, by name; a tag without a prefix is a name."""
    names = sorted({tag.partition("-")[2] if PREFIXED.fullmatch(tag) else tag for tag in tags} - {"O"})
    return ("O", *(f"{kind}-{name}" for name in names for kind in "BI"))


def _scheme(tags: Column, table: Table) -> str:
    """The scheme of the tags of all rows; none if they are no entities."""
    spelled = _spelled(tags)
    names = [tag for tag in spelled if tag != "O"]
    kinds = {tag[0] for tag in names}
    if not all(map(PREFIXED.fullmatch, names)):
        return "io" if "O" in spelled else "none"
    if kinds - {"B", "I"}:
        return "bioes"
    if "B" not in kinds:
        return "io"
    begun = False
    for row in table.rows():
        found = [tag if tag in spelled else _prefixed(tag) for tag in row.get(tags.name)]
        begun = begun or bool(Config.without_beginning(found))
        before = ["O", *found]
        if any(tag[:1] == "B" and before[at][1:] != tag[1:] for at, tag in enumerate(found)):
            return "iob2"  # IOB1 marks only the beginning of an entity right after another of its kind
    return "iob1" if begun else "iob2"
