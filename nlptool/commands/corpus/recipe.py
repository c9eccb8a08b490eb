"""Raw text to a corpus: read, filter, drop duplicates, write."""

import os
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, field_validator

from nlptool import folder_kinds
from nlptool.corpus.config import (
    CorpusSource,
    DecontaminationRule,
    Dedup,
    Extract,
    Language,
    Lines,
    Links,
    Mix,
    Output,
    Pii,
    Quality,
    Repair,
    RepeatedLines,
    Shard,
    Urls,
)
from nlptool.corpus.filter_config import Filters
from nlptool.errors import UsageError
from nlptool.prompting.spec import Tasks
from nlptool.recipe import RESUMABLE, Problem, RecipeBlock


class Decontaminate(DecontaminationRule):
    """Benchmarks whose instances are removed from the text."""

    tasks: Tasks = Field(description="prompted tasks: names such as lambada, or blocks with task and data")
    data: str | None = Field(
        None, description="folder with a folder or a file for each task, by its name; null: the hub"
    )

    @property
    def rule(self) -> DecontaminationRule:
        """The settings without the tasks, which workers do not need."""
        return DecontaminationRule(window=self.window, min_piece=self.min_piece, max_pieces=self.max_pieces)


class Recipe(RecipeBlock):
    """A corpus of documents for pretraining."""

    sources: dict[str, CorpusSource] = Field(
        min_length=1, description="sources of documents, by a name that their files in data/ get"
    )
    urls: Urls | None = Field(None, description="pages to drop by their URL")
    links: Links | None = Field(None, description="pages to keep by links that lead to them")
    extract: Extract | None = Field(None, description="text extraction from web pages")
    repair: Repair | None = Field(None, description="repairs of a text")
    language: Language | None = Field(None, description="languages to keep")
    filters: Filters = Field(Filters(), description="rules for dropping documents")
    lines: Lines | None = Field(None, description="rules for removing single lines")
    quality: Quality | None = Field(None, description="quality classifier of documents")
    pii: Pii | None = Field(None, description="personal data to replace")
    decontaminate: Decontaminate | None = Field(None, description="benchmarks to remove from the text")
    repeated_lines: RepeatedLines | None = Field(None, description="repeated lines to remove")
    dedup: Dedup = Field(Dedup(), description="which documents count as duplicates")
    mix: Mix | None = Field(None, description="shares of the sources in the corpus")
    output: Output = Field(Output(), description="output files")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of all sampling, by hash of a document's text")
    workers: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="processes; one for each core when not given",
        json_schema_extra=RESUMABLE,
    )
    out: str = Field(description="folder of the corpus", json_schema_extra=RESUMABLE)

    @field_validator("sources")
    @classmethod
    def _names(cls, given: dict[str, CorpusSource]) -> dict[str, CorpusSource]:
        for name in given:
            if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or len(name) > 60:
                raise ValueError(f"the name {name!r} is not one of letters, digits, - and _, as a file's")
        return given


def check(recipe: Recipe, command: str = "corpus") -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    out = os.path.realpath(recipe.out)
    for name, source in recipe.sources.items():
        for file in source.files:  # the next run would read the corpus
            if Path(file).is_dir() and Path(out).is_relative_to(os.path.realpath(file)):
                problems.append(
                    Problem(
                        "out",
                        f"{recipe.out}: lies in {file}, of which sources.{name} reads every file; choose a folder "
                        "outside with --out",
                    )
                )
        if source.has_markup and recipe.extract is None:
            what = "wikitext" if source.pages == "mediawiki" else "HTML"
            problems.append(
                Problem(
                    "extract",
                    f"missing; sources.{name} is of {what}, whose text extract takes out, e.g. extract: {{}}",
                )
            )
        if source.pages and not source.files:
            problems.append(
                Problem(f"sources.{name}.files", f"missing; pages={source.pages} is read from files")
            )
        if source.page_urls is not None and not Path(source.page_urls).is_file():
            problems.append(Problem(f"sources.{name}.page_urls", f"no file {source.page_urls}"))
    problems += _named_sources(recipe)
    if recipe.extract is not None and not any(source.has_markup for source in recipe.sources.values()):
        problems.append(
            Problem("extract", "no source is of pages; name one with pages: warc, html or mediawiki")
        )
    for at, name in enumerate(recipe.urls.block_lists if recipe.urls else ()):
        if not Path(name).is_file():
            problems.append(Problem(f"urls.block_lists.{at}", f"no file {name}"))
    for at, name in enumerate(recipe.dedup.against):
        if not (Path(name) / "corpus.json").is_file():
            found = folder_kinds.describe(Path(name))
            problems.append(Problem(f"dedup.against.{at}", f"no corpus at {name}: {found}"))
        elif os.path.realpath(name) == out:
            problems.append(Problem(f"dedup.against.{at}", f"{name}: is the output folder itself"))
    if recipe.decontaminate is not None and (data := recipe.decontaminate.data) and not Path(data).is_dir():
        problems.append(
            Problem("decontaminate.data", f"no folder {data}; one with a folder or a file for each task")
        )
    return problems


def _named_sources(recipe: Recipe) -> list[Problem]:
    """Check that source names in blocks exist."""
    known, problems = ", ".join(recipe.sources), []
    if recipe.mix is not None:
        weights = recipe.mix.weights
        problems += [
            Problem(f"mix.weights.{name}", f"no source of this name; there are {known}")
            for name in weights
            if name not in recipe.sources
        ]
        problems += [
            Problem("mix.weights", f"missing: {name}; every source has a weight")
            for name in recipe.sources
            if name not in weights
        ]
    for at, name in enumerate(recipe.quality.sources if recipe.quality else ()):
        if name not in recipe.sources:
            problems.append(Problem(f"quality.sources.{at}", f"no source {name}; there are {known}"))
    return problems


class View(NamedTuple):
    """What to look at."""

    sample: int | None = None
    """Number of documents to try the blocks on; None: show an existing corpus."""
    rule: str | None = None
    id: str | None = None
    urls: bool = False
    """Whether to print the URLs that links lead to."""


class Work(NamedTuple):
    """The request of a command line."""

    recipe: Recipe
    shard: Shard = Shard(0, 1)
    view: View | None = None


def shard_of(given: str | None) -> Shard:
    """`3/8` as a shard, without an argument all. Raises UsageError."""
    if given is None:
        return Shard(0, 1)
    number, _, of = given.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= 100_000):
        raise UsageError(f"--shard {given}: expected I/N with I from 1 to N, e.g. 3/8")
    return Shard(int(number) - 1, int(of))
