"""Options of `nlptool embed`. Nothing heavy here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nlptool.errors import UsageError
from nlptool.text.input_rows import RowFormat

SUFFIXES = (".parquet", ".npy")


@dataclass(frozen=True)
class EmbedOptions:
    """Texts, and how their embeddings are computed."""

    text: str | None
    file: str | None
    """A file with a text a row, or `-`, standard input."""
    out: Path | None
    pooling: Literal["cls", "mean", "last"] | None
    """None: the mean of an encoder, the last token of a decoder."""
    layers: tuple[int, ...] = (-1,)
    normalize: bool = False
    column: str = "text"
    format: RowFormat | None = None
    """None: by the file's suffix, else a text a line."""
    skip: bool = False
    """Whether invalid rows are skipped."""
    batch_size: int | None = None
    """Texts of a batch; None: as many as have 4,096 tokens, on a GPU 65,536."""

    def check(self) -> None:
        """Raise UsageError for incompatible options."""
        if (self.text is None) == (self.file is None):
            raise UsageError(
                "a file or --text: one of them", hint="nlptool embed MODEL texts.txt --out vectors.npy"
            )
        if self.text is not None and self.out is not None:
            raise UsageError("--out has no effect here", hint="the vector of one --text is printed")
        if self.file is None:
            return
        if self.out is None:
            raise UsageError("no file for the vectors", hint="--out vectors.parquet, or --out vectors.npy")
        if self.out.suffix not in SUFFIXES:
            raise UsageError(f"--out {self.out}: expected a name that ends in {' or '.join(SUFFIXES)}")


def layer_numbers(written: str) -> tuple[int, ...]:
    """The layers of `-1` or `-4,-3,-2,-1`. Raises UsageError for other texts."""
    try:
        return tuple(int(part) for part in written.split(","))
    except ValueError:
        raise UsageError(
            f"--layers {written}: expected numbers such as -1, or -4,-3,-2,-1 for the mean of the last four"
        ) from None
