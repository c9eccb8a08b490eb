"""Which figures a run will have, as far as its recipe tells before it is carried out. Nothing heavy is imported."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from nlptool.errors import UsageError
from nlptool.metric_table import TABLE, describe

ORDER, NEXT = "sentence order", "next sentence"
"""Accuracy of a pretrained model on held-out pairs of segments: are they in order, and do they belong together?"""
MEASURED = ("pretrain-", "finetune", "distill-task", "prompt")
"""How the commands begin whose runs have figures."""


def require(measure: str, figure: str, command: str, recipe: Any) -> None:
    """Raise UsageError for a figure that this command does not have with this recipe.

    What training alone tells, such as the terms of a loss, is known by its name only.
    """
    if not command.startswith(MEASURED):
        raise UsageError(
            f"measures: {measure}: {command} has no figures", hint="name a step that trains or evaluates"
        )
    base = figure.rpartition("/")[2]
    known = {*TABLE, ORDER, NEXT}
    metrics = set(_metrics(getattr(recipe, "task", None)))
    if metrics:
        known = metrics | {name for name in TABLE if describe(name).kind != "score"}
    if base not in known:
        close = get_close_matches(base, known, n=1)
        hint = (
            f"did you mean {close[0]}?" if close else f"those it has: {', '.join(sorted(metrics or known))}"
        )
        raise UsageError(f"measures: {measure}: {command} has no figure {figure}", hint=hint)


def _metrics(task: Any) -> Iterator[str]:
    """The metrics of a task, or of all tasks that it consists of; none of one that is told by its rows."""
    yield from getattr(task, "metrics", ())
    for one in getattr(task, "tasks", {}).values():
        yield from _metrics(one)
