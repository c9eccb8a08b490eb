"""Options of `nlptool export`. Nothing heavy here."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nlptool.errors import UsageError

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ExportOptions:
    """Which model to export, in which format, and where to."""

    source: str
    """A run folder, or a model's folder."""
    out: Path | None
    to: Literal["hf", "onnx", "openke", "pykeen"] = "hf"
    checkpoint: str | None = None
    """newest, best or a folder's name; None: newest."""
    license: str | None = None
    languages: tuple[str, ...] = ()
    repository: str | None = None
    """The hub's id to upload the folder to."""
    private: bool = False
    overwrite: bool = False
    quantize: Literal["int8"] | None = None
    rows: str | None = None
    """A file of rows for comparing an ONNX model with its original; None: random tokens."""
    columns: tuple[str, ...] = ()
    """Columns of the text, or of both; empty: those of the model's task, or `text`."""
    label: str | None = None
    """The column of the class, for scores."""
    vectors: Path | None = None
    """Embeddings of an exported graph's entities."""

    @property
    def of_graph(self) -> bool:
        """Whether a graph is exported for another program."""
        return self.to in ("openke", "pykeen")

    @property
    def names_columns(self) -> bool:
        """Whether the columns differ from those of the model's task."""
        return bool(self.columns) or self.label is not None

    def check(self) -> None:
        """Raise UsageError for options without effect, and for a repository without an owner."""
        if self.repository is not None and not REPOSITORY.fullmatch(self.repository):
            raise UsageError(f"--push-to-hub {self.repository}: expected OWNER/NAME")
        if self.vectors is not None and not self.of_graph:
            raise UsageError("--vectors has no effect here", hint="it requires --to openke or pykeen")
        if self.to != "hf":
            publishing = {
                "--checkpoint": self.checkpoint,
                "--license": self.license,
                "--language": self.languages,
            }
            if self.of_graph:
                publishing["--push-to-hub"] = self.repository
            if idle := [name for name, value in publishing.items() if value]:
                raise UsageError(f"{idle[0]} has no effect here", hint="it requires --to hf")
            if len(self.columns) > 2:
                raise UsageError("--column: a row has one text, or two")
        if self.to != "onnx" and (
            idle := [
                name for name, value in {"--quantize": self.quantize, "--rows": self.rows}.items() if value
            ]
        ):
            raise UsageError(f"{idle[0]} has no effect here", hint="it requires --to onnx")
        if self.rows is None and self.label is not None:
            raise UsageError("--label has no effect here", hint="it requires --rows FILE")
        if self.private and self.repository is None:
            raise UsageError("--private has no effect here", hint="it requires --push-to-hub OWNER/NAME")
