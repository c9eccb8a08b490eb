"""The table of the final figures of a comparison."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nlptool.evaluation.metrics import confidence
from nlptool.formatting import duration, quantity, significant
from nlptool.metric_table import describe
from nlptool.report import comparison_charts


def table(runs: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of each run's final figures; held-out figures common to most runs."""
    lasts = [run["points"][-1] for run in runs]
    counts = Counter(name for last in lasts for name in last["heldout"])
    figures = [
        key
        for key, count in counts.items()
        if describe(key).kind in comparison_charts.KINDS
        and 2 * count >= len(lasts)  # others have nothing to be compared with
    ]
    scores = list(dict.fromkeys(name for last in lasts for name in last["scores"]))
    columns = [
        "run",
        "parameters",
        "FLOPs",
        "tokens",
        "time",
        *(describe(key).title for key in figures),
        *scores,
    ]
    rows = []
    for run, last in zip(runs, lasts, strict=True):
        cells = [run["run"], quantity(run["parameters"], "").strip(), significant(last["flops"])]
        cells += [quantity(last["tokens"], "").strip(), duration(last["seconds"])]
        cells += [_figure(key, last) for key in figures]
        cells += [_share(last["scores"].get(name)) for name in scores]
        rows.append(cells)
    return columns, rows


def _figure(key: str, last: Mapping[str, Any]) -> str:
    """A held-out figure, with half its interval if there are several seeds."""
    if key not in last["heldout"]:
        return ""
    low, high = last.get("intervals", {}).get(key, (None, None))
    return describe(key).show(last["heldout"][key], None if low is None else (high - low) / 2)


def _share(score: dict[str, float] | None) -> str:
    if score is None:
        return ""
    return confidence.format_interval(score["value"], score["low"], score["high"])
