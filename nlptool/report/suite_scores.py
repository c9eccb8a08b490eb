"""Scores of models on the tasks of a suite: means over tasks, and the table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nlptool.metric_table import format_score, metric_title


class MeanAndStd(NamedTuple):
    """A figure of one model."""

    value: float
    """Mean over the seeds, or over the questions."""
    std: float
    """Between seeds; for prompted tasks the standard error."""


def mean(found: Sequence[dict[str, Any]], *, whole: bool = False) -> MeanAndStd | None:
    """A model's mean over its tasks, each the mean of the metrics in its `score` (Wang et al. 2018, section 4).

    Tasks excluded by the suite do not count, unless `whole` is set, or there are no others; nor do perplexities,
    which are no shares. None where no task counts.
    """
    counting = found if whole else [one for one in found if not one["excluded"]] or found
    tasks = [[one["figures"][name] for name in one["score"]] for one in counting if one["score"]]
    if not tasks:
        return None
    value = sum(sum(f["value"] for f in figures) / len(figures) for figures in tasks) / len(tasks)
    variance = sum(sum(f["std"] for f in figures) ** 2 / len(figures) ** 2 for figures in tasks)
    return MeanAndStd(value, variance**0.5 / len(tasks))


def table(models: Mapping[str, Sequence[dict[str, Any]]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a line for each figure of each task, a column for the baseline and for each model."""
    lines: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    baselines: dict[tuple[str, str], str] = {}
    for model, found in models.items():
        for one in found:
            for name, figure in one["figures"].items():
                key = one["task"], name
                lines.setdefault(key, {})[model] = figure
                known = figure["baseline"] is not None
                baseline = one.get("baseline_name", one.get("guess"))
                baselines[key] = f"{100 * figure['baseline']:.1f} ({baseline})" if known else ""
    rows = [
        [
            task,
            metric_title(name),
            baselines[task, name],
            *(_cell(name, figures.get(model)) for model in models),
        ]
        for (task, name), figures in lines.items()
    ]
    tasks = [sorted(one["task"] for one in found) for found in models.values()]
    if len(lines) > 1 and all(names == tasks[0] for names in tasks):
        rows += _means(list(models.values()))
    return ["task", "figure", "without a model", *models], rows


def _means(models: Sequence[Sequence[dict[str, Any]]]) -> Iterator[list[str]]:
    """A line of means with the kind of rows; a second one includes the excluded tasks."""
    known = [one for found in models for one in found if one["score"]]
    kinds = dict.fromkeys(split.partition("_")[0] for one in known for split in one["splits"])
    name = f"mean on {' and '.join(kinds)} rows"
    excluded = list(dict.fromkeys(one["task"] for one in known if one["excluded"]))
    kept = list(dict.fromkeys(one["task"] for one in known if not one["excluded"]))
    for label, whole in ((name, False), (f"{name}, with {', '.join(excluded)}", True)):
        means = [mean(found, whole=whole) for found in models]
        if any(means) and kept and (excluded or not whole):
            yield [label, "", "", *(_cell("mean", one and one._asdict()) for one in means)]


def _cell(name: str, figure: Mapping[str, Any] | None) -> str:
    return "" if figure is None else format_score(name, figure["value"], figure["std"] or None)
