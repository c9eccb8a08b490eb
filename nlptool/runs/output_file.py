"""Output in one file: never replaced by accident, never what is read, written by one process at a time."""

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
    """Make sure that `out` may be written, and lock it.

    resume: what is there is taken up. resumable: whether the command can do that. reads: paths that it reads.
    Raises UsageError where `out` is no file, is read, or is there and neither --resume nor --overwrite accounts for it.
    """
    if os.path.lexists(out) and not out.is_file():
        what = "is a link to no file" if out.is_symlink() and not out.exists() else "is no file"
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
