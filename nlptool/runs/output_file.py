"""Single output files: not replaced by accident, never an input, and written by one process at a time."""

import os
from collections.abc import Iterable
from pathlib import Path

from nlptool.errors import UsageError
from nlptool.runs import lock


def prepare_output_file(
    out: Path,
    *,
    overwrite: bool,
    resume: bool = False,
    resumable: bool = False,
    reads: Iterable[str | Path] = (),
) -> None:
    """Check and lock an output file.

    resume: continue an existing file. resumable: whether the command can do that. reads: input paths. Raises
    UsageError where `out` is not a file, is an input, or exists without --resume or --overwrite.
    """
    if os.path.lexists(out) and not out.is_file():
        what = "is a broken link" if out.is_symlink() and not out.exists() else "is not a file"
        raise UsageError(f"{out}: {what}", hint="choose another file with --out")
    real = Path(os.path.realpath(out))
    for read in map(Path, reads):
        if read.exists() and real.is_relative_to(os.path.realpath(read)):
            raise UsageError(f"{out}: is read by this command", hint="choose another file with --out")
    if out.exists() and not (overwrite or resume):
        more = "--resume auto continues what was begun, " if resumable else ""
        raise UsageError(
            f"{out}: is there already", hint=f"{more}--overwrite replaces it, --out names another file"
        )
    lock.hold_file(out)
