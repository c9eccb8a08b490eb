"""`nlptool evaluate MODEL ...`: how well models foresee held-out text, and tell good sentences from bad ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nlptool.commands.suite import recipe as suite
from nlptool.console import Console, Options
from nlptool.errors import UsageError
from nlptool.models import hub
from nlptool.runs import folder


class EvaluationOptions(NamedTuple):
    """What is asked of every model."""

    tokens: Path | None
    """A token store, whose held-out documents are read as text."""
    characters: int
    """Characters of each document, from its beginning."""
    pairs: Path | None
    """A folder of minimal pairs, JSON lines."""
    most: int
    """Pairs of each file."""
    suite: str | None
    """Tasks to fine-tune each model on: the path or name of a suite."""
    data: str | None
    """The rows of these tasks, in place of the suite's own."""


def run(models: Sequence[str], questions: EvaluationOptions, options: Options, console: Console) -> None:
    """Ask every model the same, and show one table, or two.

    Raises UsageError when there is nothing to ask, or where the answers of a suite should be kept is not said.
    """
    folder.require_auto(options.resume)
    if questions.tokens is None and questions.pairs is None and questions.suite is None:
        raise UsageError(
            "nothing to ask the models",
            hint="--tokens STORE reads its held-out text, --pairs FOLDER minimal pairs, --suite SUITE tasks",
        )
    if questions.suite is not None and options.out is None:
        raise UsageError("what a suite finds is kept in a folder", hint="name one with --out")
    for model in models:
        if wrong := hub.problem(model):
            raise UsageError(wrong)
    exams = None if questions.suite is None else suite.read(questions.suite, questions.data)
    if options.out is not None:
        folder.prepare_output_folder(Path(options.out), resume=options.resume, overwrite=options.overwrite)
    from nlptool.commands.evaluate import run as evaluating

    evaluating.run(models, questions, exams, options, console)
