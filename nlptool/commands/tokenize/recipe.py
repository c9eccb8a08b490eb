"""Text to a token store: read, normalise, segment, train or load a tokenizer, encode, write."""

import os
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from nlptool import folder_kinds
from nlptool.models import hub
from nlptool.recipe import RESUMABLE, Problem, RecipeBlock
from nlptool.text.config import Normalise, Paths, Sentences, Source

SMALLEST = 262  # six special tokens and 256 bytes


class Tokenizer(RecipeBlock):
    """A byte-level BPE tokenizer trained on the corpus, or an existing one, optionally extended."""

    replaces = MappingProxyType(
        {
            "load": ("vocab_size", "sample", "extend", "added"),
            "vocab_size": ("load", "extend", "added"),
            "extend": ("load", "vocab_size"),
        }
    )

    vocab_size: int | None = Field(
        None,
        ge=SMALLEST,
        le=1_000_000,
        description="vocabulary size, special tokens included (default 32768)",
    )
    sample: int = Field(
        100, ge=1, description="train the tokenizer on at most this many million characters, sampled evenly"
    )
    load: str | None = Field(
        None,
        description="in place of training: a token store, a Hugging Face folder or hub id, a tokenizer.json, a "
        "vocab.txt or a spiece.model",
    )

    extend: str | None = Field(
        None,
        description="in place of training: one as of load, byte-level BPE or WordPiece, with tokens that this text "
        "needs; pretraining from its model (init_from) begins their embeddings as means of the old ones",
    )
    added: int | None = Field(
        None, ge=1, le=1_000_000, description="extend: tokens to add (default 2000), the most useful first"
    )
    max_unknown: float | None = Field(
        None,
        ge=0,
        le=1,
        description="stop where the share of unknown tokens, or of bytes that no token represents, "
        "is higher (default 0.01); "
        "needs load or extend, since a tokenizer trained here encodes every text",
    )

    def idle(self) -> dict[str, str]:
        """An existing tokenizer is not trained."""
        return (
            {}
            if self.load is None
            else {"sample": "tokenizer.load names one that exists, and nothing is trained"}
        )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.load is not None and self.vocab_size is not None:
            raise ValueError("give either vocab_size or load; a tokenizer that exists has its vocabulary")
        if self.extend is not None and self.load is not None:
            raise ValueError("give either load or extend; extend adds tokens to the tokenizer that it names")
        if self.extend is not None and self.vocab_size is not None:
            raise ValueError("give added in place of vocab_size; extend adds tokens to those that there are")
        if self.extend is None and self.added is not None:
            raise ValueError("added requires extend, which names the tokenizer to add tokens to")
        if self.load is None and self.extend is None and self.max_unknown is not None:
            raise ValueError(
                "max_unknown requires load or extend; a tokenizer trained here encodes every text"
            )
        return self


class Links(RecipeBlock):
    """Which words of the text are linked to entities of a knowledge graph."""

    graph: str = Field(description="knowledge graph, a folder made by nlptool knowledge")
    by: Literal["mentions", "anchors", "labels"] = Field(
        "mentions",
        description="mentions: documents, in JSON lines, have lists of [start, end, entity], or objects as TAGME gives "
        "them; anchors: Wikipedia's links in the text, <a href=\"Title\">; labels: the graph's labels are searched",
    )
    field: str = Field("mentions", description="mentions: name of their field")
    threshold: float = Field(
        0.3, ge=0, le=1, description="mentions: smallest score to link; mentions without a score are linked"
    )
    titles: Paths = Field(
        (),
        description="mentions and anchors: tab-separated lines of title and entity; other titles are names of "
        "entities",
    )
    ambiguous: Literal["frequent", "none"] = Field(
        "frequent",
        description="labels: if several entities share one, link the entity with most triples, or none",
    )
    shortest: int = Field(2, ge=1, description="labels: fewest characters of a label")
    compare: bool = Field(
        False, description="labels: report precision and recall against the mentions in `field` of JSON lines"
    )

    def idle(self) -> dict[str, str]:
        """Keys of one way of linking alone."""
        of = {
            "field": self.by == "mentions" or self.compare,
            "threshold": self.by == "mentions" or self.compare,
            "titles": self.by != "labels",
            "ambiguous": self.by == "labels",
            "shortest": self.by == "labels",
            "compare": self.by == "labels",
        }
        return {key: f"links.by is {self.by}" for key, used in of.items() if not used}


class Recipe(RecipeBlock):
    """A token store."""

    source: Source = Field(Source(), description="source of documents")
    normalise: Normalise = Field(Normalise(), description="text normalisation")
    sentences: Sentences = Field(Sentences(), description="sentence segmentation")
    tokenizer: Tokenizer = Field(Tokenizer(), description="tokenizer: trained here, or loaded")
    links: Links | None = Field(None, description="links to a knowledge graph; none when not given")
    heldout: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="fraction of documents held out from training, by the hash of their text",
    )
    workers: int | None = Field(
        None, ge=1, description="number of processes (default: one per core)", json_schema_extra=RESUMABLE
    )
    out: str = Field(description="output folder: the token store", json_schema_extra=RESUMABLE)


def check(recipe: Recipe, command: str = "tokenize") -> list[Problem]:
    """Rules across blocks; nothing heavy is imported."""
    problems = []
    out = os.path.realpath(recipe.out)
    for key, name in (("load", recipe.tokenizer.load), ("extend", recipe.tokenizer.extend)):
        if name is not None and (wrong := hub.tokenizer_problem(name)):
            problems.append(Problem(f"tokenizer.{key}", wrong))
    links = recipe.links
    if links is not None and not (Path(links.graph) / "graph.json").exists():
        found = folder_kinds.describe(Path(links.graph))
        problems.append(
            Problem(
                "links.graph", f"no knowledge graph at {links.graph}: {found}; nlptool knowledge makes one"
            )
        )
    if links is not None and (links.by == "mentions" or links.compare):
        if recipe.source.document_boundary in ("blank-line", "file"):
            problems.append(
                Problem(
                    "source.document_boundary",
                    "mentions are those of a record; leave source.document_boundary out",
                )
            )
        if recipe.source.format not in (None, "jsonl") or not recipe.source.files:
            problems.append(
                Problem("links.by", "mentions lie in JSON lines: source.files=PATH.jsonl, or links.by=labels")
            )
    for name in recipe.source.files:  # the next run would read the store
        if Path(name).is_dir() and Path(out).is_relative_to(os.path.realpath(name)):
            problems.append(
                Problem(
                    "out",
                    f"{recipe.out}: lies in {name}, of which every file is read; choose a folder outside with --out, "
                    f"or name the files: source.files={name.rstrip('/')}/*.txt",
                )
            )
    return problems
