"""The figures that a run will have, as far as its recipe determines them. Nothing heavy is imported."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from nlptool.errors import UsageError
from nlptool.metric_table import TABLE, describe

ORDER, NEXT = "sentence order", "next sentence"
"""Accuracy of a pretrained model on held-out pairs of segments, on their order and on whether they belong together."""
MEASURED = ("pretrain-", "finetune", "distill-task", "prompt")
"""Prefixes of commands whose runs have figures."""


def require(measure: str, figure: str, command: str, recipe: Any) -> None:
    """Raise UsageError for a figure that this command lacks with this recipe.

    Figures of training, such as the terms of a loss, are checked by name only.
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
    """The metrics of a task, or of all its subtasks; empty for one that is inferred from rows."""
    yield from getattr(task, "metrics", ())
    for one in getattr(task, "tasks", {}).values():
        yield from _metrics(one)
