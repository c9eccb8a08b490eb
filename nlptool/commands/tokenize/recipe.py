"""Text to a token store: read, normalise, segment, train or load a tokenizer, encode, write."""

import os
from pathlib import Path
from types import MappingProxyType
from typing import Self

from pydantic import Field, model_validator

from nlptool.models import hub
from nlptool.recipe import RESUMABLE, Problem, RecipeBlock
from nlptool.text.config import Normalise, Sentences, Source

SMALLEST = 262  # six special tokens and 256 bytes


class Tokenizer(RecipeBlock):
    """A byte-level BPE tokenizer to train on the corpus, or one that exists."""

    replaces = MappingProxyType({"load": ("vocab_size", "sample"), "vocab_size": ("load",)})

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
        description="in place of training: a token store, a Hugging Face folder or hub id, a tokenizer.json or a "
        "vocab.txt",
    )

    max_unknown: float | None = Field(
        None,
        ge=0,
        le=1,
        description="stop where the share of unknown tokens, or of bytes that no token represents, "
        "is higher (default 0.01); "
        "needs load, since a tokenizer trained here encodes every text",
    )

    def idle(self) -> dict[str, str]:
        """What exists is not trained."""
        return (
            {}
            if self.load is None
            else {"sample": "tokenizer.load names one that exists, and nothing is trained"}
        )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.load is not None and self.vocab_size is not None:
            raise ValueError("give either vocab_size or load; a tokenizer that exists has its vocabulary")
        if self.load is None and self.max_unknown is not None:
            raise ValueError("max_unknown goes with load; a tokenizer that is trained here spells every text")
        return self


class Recipe(RecipeBlock):
    """A token store."""

    source: Source = Field(Source(), description="where documents come from")
    normalise: Normalise = Field(Normalise(), description="text normalisation")
    sentences: Sentences = Field(Sentences(), description="sentence segmentation")
    tokenizer: Tokenizer = Field(Tokenizer(), description="tokenizer: trained here, or loaded")
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
    """Rules that look beyond a block; nothing heavy is imported."""
    problems = []
    load, out = recipe.tokenizer.load, os.path.realpath(recipe.out)
    if load is not None and (wrong := hub.tokenizer_problem(load)):
        problems.append(Problem("tokenizer.load", wrong))
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
