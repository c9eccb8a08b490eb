"""Records of metrics on prompted tasks, and their table."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from nlptool.formatting import counted, finite
from nlptool.metric_table import format_score, metric_title, per_cent
from nlptool.prompting import response_cache
from nlptool.prompting.contamination import Contamination
from nlptool.prompting.requests import TaskRun

BASELINES = ("chance", "majority")  # computed without a model
MAX_PARTS = 12  # largest number of a task's parts shown one by one


def model_labels(models: Sequence[str]) -> list[str]:
    """Short names for tables: the models' names without their common prefix and without a last /final."""
    short = [model_name(name).rstrip("/").removesuffix("/final") or name for name in models]
    parts = [PurePath(name).parts for name in short]
    common = 0
    while len(parts) > 1 and all(len(p) > common + 1 for p in parts) and len({p[common] for p in parts}) == 1:
        common += 1
    labels = [str(PurePath(*p[common:])) if len(parts) > 1 else p[-1] for p in parts]
    return labels if len(set(labels)) == len(labels) else list(models)


def model_name(model: str) -> str:
    """A model's name; for a path without a name, such as `.`, its absolute path."""
    return model if any(part != ".." for part in PurePath(model).parts) else str(Path(model).resolve())


def shots_text(number: int) -> str:
    """`1 shot`, `5 shots`."""
    return f"{number} shot{'' if number == 1 else 's'}"


def record(
    model: str, kind: str, parameters: int, run: TaskRun, shots: int, entries: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The metrics of one model on one task, over all instances and over each part.

    kind: of the scores. entries: the lines of the response cache, one for each instance.
    """
    parts = list(dict.fromkeys(instance.part for instance in run.instances))
    result = {
        "model": model,
        "parameters": parameters,
        "kind": kind,
        "task": run.name,
        "num_fewshot": shots,
        "seed": run.seed,
        **_metrics(run, entries, range(len(entries))),
        "fewer_shots": sum(entry["num_fewshot"] < shots for entry in entries),
        "shortened": sum("left_out" in entry for entry in entries),
        "cut": sum(any(response["cut"] for response in entry["replies"]) for entry in entries),
    }
    if len(parts) > 1:
        result["parts"] = {
            part: _metrics(run, entries, [i for i, one in enumerate(run.instances) if one.part == part])
            for part in parts
        }
    return result


def split_by_contamination(
    run: TaskRun, entries: Sequence[Mapping[str, Any]], contamination: Contamination
) -> dict[str, Any]:
    """The metrics over clean and over dirty instances."""
    subsets = {"clean": [i for i, dirty in enumerate(contamination.dirty) if not dirty]}
    subsets["dirty"] = [i for i, dirty in enumerate(contamination.dirty) if dirty]
    return {"n": contamination.n} | {
        name: _metrics(run, entries, subset) for name, subset in subsets.items() if subset
    }


def _metrics(run: TaskRun, entries: Sequence[Mapping[str, Any]], subset: Sequence[int]) -> dict[str, Any]:
    instances = [run.instances[i] for i in subset]
    values = run.task.compute_metrics(instances, [response_cache.responses(entries[i]) for i in subset])
    return {
        "questions": len(instances),
        "scores": {
            name: {"value": finite(one.value), "error": finite(one.error)} for name, one in values.items()
        },
        "baselines": dict(run.task.baselines(instances)),
    }


def length_remarks(record: Mapping[str, Any]) -> Iterator[str]:
    """Notes on prompts that a model did not read in full."""
    where = f"{record['model']}: {record['task']}, {shots_text(record['num_fewshot'])}"
    total = counted(record["questions"], "questions")
    if fewer := record["fewer_shots"]:
        yield f"{where}: fewer few-shot examples, to fit the model, in {fewer:,} of {total}"
    if shortened := record["shortened"]:
        yield f"{where}: the end of a long text is left out, to fit the model, in {shortened:,} of {total}"
    if cut := record["cut"]:
        yield f"{where}: the model reads only the end of {cut:,} of {total}"


def results_table(records: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """A row for each task, number of shots and metric, a column for each model and each baseline."""
    models = list(dict.fromkeys(record["model"] for record in records))
    runs = list(dict.fromkeys((record["task"], record["num_fewshot"]) for record in records))
    by_model = {(record["model"], record["task"], record["num_fewshot"]): record for record in records}
    rows = []
    for task, shots in runs:
        of_run = [by_model[model, task, shots] for model in models]
        first = of_run[0]
        for at, name in enumerate(first["scores"]):
            cells = [task, str(shots), f"{first['questions']:,}"] if not at else ["", "", ""]
            cells.append(metric_title(name))
            cells += [format_score(name, **record["scores"][name]) for record in of_run]
            compared = not at or name.startswith("accuracy")
            cells += [
                per_cent(first["baselines"][one]) if one in first["baselines"] and compared else ""
                for one in BASELINES
            ]
            rows.append(cells)
        rows += [*_rows_of_parts(of_run), *_rows_by_contamination(of_run)]
    columns = ["task", "shots", "questions", "score", *models, *BASELINES]
    kept = [at for at, name in enumerate(columns) if name not in BASELINES or any(row[at] for row in rows)]
    return [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _rows_of_parts(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """The main metric of each part, if there are at most MAX_PARTS; one record for each model."""
    parts = records[0].get("parts", {})
    for part, first in parts.items() if len(parts) <= MAX_PARTS else ():
        name = next(iter(first["scores"]))
        scores = [format_score(name, **record["parts"][part]["scores"][name]) for record in records]
        yield ["", "", f"{first['questions']:,}", f"{metric_title(name)}: {part}", *scores, "", ""]


def _rows_by_contamination(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """The main metric over clean and over dirty instances, if any is dirty; one record for each model."""
    first = records[0].get("contamination", {})
    for subset in [subset for subset in ("clean", "dirty") if subset in first and "dirty" in first]:
        name = next(iter(first[subset]["scores"]))
        scores = [format_score(name, **record["contamination"][subset]["scores"][name]) for record in records]
        words = f"{counted(first['n'], 'words')} in common" if subset == "dirty" else subset
        yield [
            "",
            "",
            f"{first[subset]['questions']:,}",
            f"{metric_title(name)}: {words}",
            *scores,
            "",
            "",
        ]
