"""`nlptool evaluate MODEL ...`: how well models foresee held-out text, and tell good sentences from bad ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nlptool.commands.suite import recipe as suite
from nlptool.commands.suite.recipe import ResolvedSuite
from nlptool.errors import UsageError
from nlptool.models import hub


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


class Evaluation(NamedTuple):
    """What is evaluated, and where the results go."""

    models: Sequence[str]
    asked: EvaluationOptions
    suite: ResolvedSuite | None
    out: Path | None


def resolve(models: Sequence[str], asked: EvaluationOptions, out: Path | None) -> Evaluation:
    """Everything that is read and checked before a model is.

    Raises UsageError when there is nothing to ask, or where the answers of a suite should be kept is not said.
    """
    if asked.tokens is None and asked.pairs is None and asked.suite is None:
        raise UsageError(
            "nothing to ask the models",
            hint="--tokens STORE reads its held-out text, --pairs FOLDER minimal pairs, --suite SUITE tasks",
        )
    if asked.suite is not None and out is None:
        raise UsageError("what a suite finds is kept in a folder", hint="name one with --out")
    for model in models:
        if wrong := hub.problem(model):
            raise UsageError(wrong)
    return Evaluation(
        models, asked, None if asked.suite is None else suite.read(asked.suite, asked.data), out
    )
