"""What may be asked of `nlptool export`. Nothing heavy here."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nlptool.errors import UsageError

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ExportOptions:
    """Of which model, in which form, and what becomes of it."""

    source: str
    """A run folder, or a model's."""
    out: Path | None
    to: Literal["hf"] = "hf"
    checkpoint: str | None = None
    """newest, best or a folder's name; None: newest."""
    license: str | None = None
    languages: tuple[str, ...] = ()
    repository: str | None = None
    """The hub's id that the folder is uploaded to."""
    private: bool = False
    overwrite: bool = False

    def check(self) -> None:
        """Raise UsageError for options that would change nothing, and for a repository without an owner."""
        if self.repository is not None and not REPOSITORY.fullmatch(self.repository):
            raise UsageError(f"--push-to-hub {self.repository}: expected OWNER/NAME")
        if self.private and self.repository is None:
            raise UsageError(
                "--private would change nothing here", hint="it goes with --push-to-hub OWNER/NAME"
            )
