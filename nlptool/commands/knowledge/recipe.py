"""Triples to a knowledge graph: read, merge, filter, number, write."""

import os
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from nlptool.knowledge.relations import TABLES, merge_table
from nlptool.recipe import RESUMABLE, Problem, RecipeBlock
from nlptool.text.config import Paths

Column = Literal["head", "relation", "tail"]


class TripleSource(RecipeBlock):
    """The source of triples."""

    replaces = MappingProxyType({"package": ("files", "format"), "files": ("package",)})

    files: Paths = Field(
        (),
        description="training triples: path, folder or glob pattern, or a list of them; .gz .bz2 .xz .zst are "
        "decompressed",
    )
    package: Literal["countryinfo"] | None = Field(
        None, description="in place of files: an installed package; countryinfo: facts of 250 countries"
    )
    validation: Paths = Field((), description="triples to evaluate on while embeddings are trained")
    test: Paths = Field((), description="triples to test embeddings on")
    format: Literal["tsv", "csv", "openke", "conceptnet", "jsonl", "ntriples", "wikidata"] | None = Field(
        None,
        description="tsv: three fields a line, tabs between them; csv: commas or semicolons; both may have a header; "
        "ntriples: also N-Quads; wikidata: its JSON dump; openke: a folder with entity2id.txt, "
        "relation2id.txt, train2id.txt, and valid2id.txt and test2id.txt where there are; conceptnet: assertions in "
        "CSV; by the suffix, else tsv, when not given",
    )
    columns: tuple[Column, Column, Column] = Field(
        ("head", "relation", "tail"), description="tsv and csv: order of the fields"
    )
    fields: tuple[str, str, str] = Field(
        ("head", "relation", "tail"),
        description="jsonl: where head, relation and tail lie in a record; dots lead into objects and lists, as in "
        "triple.0",
    )
    language: str = Field(
        "en", pattern="^[a-z]{2,3}$", description="conceptnet: language of both ends of a triple"
    )
    on_error: Literal["stop", "drop"] = Field(
        "stop", description="on a line that is not a triple: stop, or drop and count it"
    )

    @field_validator("columns")
    @classmethod
    def _each_once(cls, columns: tuple[str, str, str]) -> tuple[str, str, str]:
        if len(set(columns)) < 3:
            raise ValueError("head, relation and tail, each once, in the order of the file")
        return columns

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.files) == bool(self.package):
            raise ValueError("give either files or package")
        if self.package and (self.validation or self.test or self.format):
            raise ValueError("validation, test and format belong to files")
        if self.format == "openke" and (self.validation or self.test):
            raise ValueError(
                "validation and test lie in the folder of openke's files, as valid2id.txt and test2id.txt"
            )
        return self

    def idle(self) -> dict[str, str]:
        """Keys of one format alone."""
        of = {
            "columns": "csv" if self.format == "csv" else "tsv",
            "fields": "jsonl",
            "language": "conceptnet",
        }
        if self.format is None and not self.package:
            return {}
        shown = self.package or self.format
        return {
            key: f"it concerns {format_}, and this is {shown}"
            for key, format_ in of.items()
            if format_ != shown
        }


class Relations(RecipeBlock):
    """Merging and dropping of relations."""

    merge: Literal["none", "conceptnet"] | dict[str, tuple[str, ...]] = Field(
        "none",
        description="conceptnet: its 42 relations become KagNet's 17; or your own groups, new name: [old, ...], where "
        "* before an old name exchanges head and tail; triples of other relations are left out",
    )
    drop: tuple[str, ...] = Field((), description="relations to leave out, by their names after merging")

    @field_validator("merge")
    @classmethod
    def _each_in_one_group(cls, merge: str | dict[str, tuple[str, ...]]) -> str | dict[str, tuple[str, ...]]:
        if not isinstance(merge, str):
            merge_table(merge)  # raises ValueError
        return merge

    @property
    def groups(self) -> dict[str, tuple[str, ...]] | None:
        """Old names by the new one; None: nothing is merged."""
        if isinstance(self.merge, str):
            return dict(TABLES[self.merge]) if self.merge in TABLES else None
        return self.merge


class LabelledPairs(RecipeBlock):
    """A labelled task whose pairs of entities must not be in the graph: all triples between the two are removed."""

    files: Paths = Field(description="rows of the task, training rows too: JSON lines, or .tsv and .csv")
    head: str = Field(
        description="where the one entity lies in a row; dots lead into objects and lists: triple.0; of tsv and csv "
        "the number of the column, from 0"
    )
    tail: str = Field(description="where the other entity lies")


class Split(RecipeBlock):
    """Shares of the training triples to set aside; each entity and relation keeps one for training."""

    validation: float = Field(0.0, ge=0, le=0.5, description="to evaluate on")
    test: float = Field(0.0, ge=0, le=0.5, description="to test on")


class Questions(RecipeBlock):
    """Multiple-choice questions from triples that leave the graph, for tasks of kind kagnet: OUT/questions."""

    templates: dict[str, str] = Field(
        description="question template of each relation, by its name after merging: {head} is replaced by the "
        "head's label, and the tail is the answer"
    )
    share: float = Field(
        0.2,
        gt=0,
        le=0.5,
        description="share of the pairs of entities linked by these relations; all triples between the two leave "
        "the graph, and each entity and relation keeps one",
    )
    choices: int = Field(
        3,
        ge=2,
        le=26,
        description="choices of a question; wrong ones are tails of the same relation, by their frequency",
    )
    validation: float = Field(0.2, gt=0, lt=1, description="share of the questions that is for validation")

    @field_validator("templates")
    @classmethod
    def _names_its_head(cls, templates: dict[str, str]) -> dict[str, str]:
        if not templates:
            raise ValueError(
                "a question for at least one relation, e.g. {borders: 'Which country borders {head}?'}"
            )
        for relation, question in templates.items():
            if "{head}" not in question:
                raise ValueError(
                    f"{relation}: the question has no {{head}}, which stands for what the head is called"
                )
        return templates


class Recipe(RecipeBlock):
    """A knowledge graph."""

    source: TripleSource = Field(description="source of triples")
    split: Split = Field(Split(), description="shares of them to set aside")
    relations: Relations = Field(Relations(), description="merging and dropping of relations")
    loops: Literal["drop", "keep"] = Field(
        "drop", description="triples whose head is their tail; published splits keep theirs"
    )
    letters_only: bool = Field(
        False,
        description="leave out triples of which an entity has other characters than letters, spaces, hyphens and "
        "underscores, as KagNet does",
    )
    labels: Paths = Field(
        (), description="labels of entities in text: tab-separated lines of entity and label"
    )
    without: tuple[LabelledPairs, ...] = Field(
        (),
        description="tasks whose pairs are removed from the graph; include training rows, since a model that sees"
        " their relations in the embeddings learns to rely on them",
    )
    questions: Questions | None = Field(
        None, description="multiple-choice questions of triples that leave the graph; null: none"
    )
    out: str = Field(description="folder of the graph", json_schema_extra=RESUMABLE)


def check(recipe: Recipe, command: str = "knowledge") -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    out = os.path.realpath(recipe.out)
    named = (
        ("source.files", recipe.source.files),
        ("source.validation", recipe.source.validation),
        ("source.test", recipe.source.test),
        ("labels", recipe.labels),
    )
    for key, names in named:
        problems += [
            Problem(
                "out",
                f"{recipe.out}: lies in {name}, of which every file is read ({key}); choose another folder",
            )
            for name in names
            if Path(name).is_dir() and Path(out).is_relative_to(os.path.realpath(name))
        ]
    if recipe.split.validation + recipe.split.test and (
        recipe.source.validation or recipe.source.test or recipe.source.format == "openke"
    ):
        problems.append(
            Problem("split", "source.validation and source.test are set aside already; leave split out")
        )
    return problems
