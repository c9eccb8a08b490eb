"""`nlptool evaluate MODEL ...`: how well models foresee held-out text, and tell good sentences from bad ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nlptool.commands import folder, hub
from nlptool.console import Console
from nlptool.errors import UsageError


class Questions(NamedTuple):
    """What is asked of every model."""

    tokens: Path | None
    """A token store, whose held-out documents are read as text."""
    characters: int
    """Characters of each document, from its beginning."""
    pairs: Path | None
    """A folder of minimal pairs, JSON lines."""
    most: int
    """Pairs of each file."""


def run(
    models: Sequence[str],
    questions: Questions,
    out: Path | None,
    *,
    overwrite: bool,
    as_json: bool,
    console: Console,
) -> None:
    """Ask every model the same, and show one table. Raises UsageError when there is nothing to ask."""
    if questions.tokens is None and questions.pairs is None:
        raise UsageError(
            "nothing to ask the models",
            hint="--tokens STORE reads its held-out text, --pairs FOLDER minimal pairs",
        )
    for model in models:
        if wrong := hub.problem(model):
            raise UsageError(wrong)
    if out is not None:
        folder.claim(out, resume=None, overwrite=overwrite)
    from nlptool.commands import evaluating

    evaluating.run(models, questions, out, as_json=as_json, console=console)
