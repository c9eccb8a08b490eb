"""Compares a student with its teacher: size, speed on this machine, and share of the score.

OUT/scores.json     all figures
OUT/retention.md    the table
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptool.atomic_files import Shape, read_or_recompute, write_json, write_text
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.console import Console
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.evaluation import latency
from nlptool.evaluation.latency import TimedModel
from nlptool.evaluation.metrics import classification
from nlptool.formatting import counted, counted_each, markdown, quantity
from nlptool.metric_table import describe
from nlptool.tasks.base import TaskObjective

SCORES = "scores.json"
LIKE: Shape = {
    "out": str, "caption": str, "rows": {str: int}, "metrics": [str], "threads": int,
    "tokens": {"one": int, "many": int, "rows": int},
    "models": {str: {
        "parameters": int, "bytes": int, "latency": float, "throughput": float, "runs": [dict],
        "faster": {"one": float, "many": float}, "mean": {str: float}, "std": {str: float}, "kept": {str: float},
    }},
}  # fmt: skip
"""Required shape of scores.json."""


def measured(
    setup: FinetuneSetup,
    subjects: dict[str, TaskObjective],
    teacher: dict[str, float],
    found: dict[str, list[dict[str, Any]]],
    out: Path,
) -> dict[str, Any]:
    """Measure the teacher and the student, and write all figures.

    setup: the student's. teacher: its figures. found: the scores of each seed, of `student`, and of
    `baseline_student`, which has the student's size and speed.
    """
    single, several = (_middle(setup, subjects["teacher"], rows) for rows in (1, latency.ROWS))
    models_timed = {name: TimedModel(objective, objective.predict) for name, objective in subjects.items()}
    prints = latency.measure(models_timed, single, several)
    texts = len(single["ids"]) / len(single["row"])
    models: dict[str, Any] = {}
    for name, runs in {"teacher": [{"figures": teacher}], **found}.items():
        mine, whole = prints["teacher" if name == "teacher" else "student"], prints["teacher"]
        spreads = {key: classification.spread([run["figures"][key] for run in runs]) for key in teacher}
        models[name] = {
            "parameters": mine.parameters,
            "bytes": mine.bytes,
            "latency": mine.latency,
            "throughput": mine.throughput / texts,
            "faster": {"one": whole.latency / mine.latency, "many": mine.throughput / whole.throughput},
            "mean": {key: mean for key, (mean, _) in spreads.items()},
            "std": {key: deviation for key, (_, deviation) in spreads.items()},
            "kept": {key: spreads[key][0] / teacher[key] for key in setup.task.metrics if teacher[key] > 0},
            "runs": [run for run in runs if "seed" in run],
        }
    result: dict[str, Any] = {
        "out": str(out),
        "select": setup.evaluate.select,
        "caption": setup.evaluate.caption,
        "rows": {name: split.count for name, split in setup.splits.items()},
        "metrics": list(setup.task.metrics),
        "tokens": {"one": single.tokens, "many": several.tokens, "rows": len(several["row"])},
        "threads": torch.get_num_threads(),
        "models": models,
    }
    write_json(out / SCORES, result)
    _write_table(result, out)
    return result


def kept(found: dict[str, list[dict[str, Any]]], out: Path) -> dict[str, Any] | None:
    """The figures written by `measured` for these runs, so that times are not measured twice; None if missing."""
    result = read_or_recompute(out / SCORES, dict, LIKE)
    if result is None or any(
        result["models"].get(name, {}).get("runs") != runs for name, runs in found.items()
    ):
        return None
    _write_table(result, out)
    return result


def _write_table(result: dict[str, Any], out: Path) -> None:
    columns, rows = table(result)
    write_text(out / "retention.md", markdown(columns, rows, result["caption"]))


def table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows."""
    names = result["metrics"]
    columns = [
        "",
        "parameters",
        "size",
        "a row alone",
        f"{result['tokens']['rows']} at once",
        "faster, either way",
    ]
    columns += [heading for name in names for heading in (describe(name).title, "kept")]
    rows = []
    for name, found in result["models"].items():
        row = [
            {"baseline_student": "without a teacher"}.get(name, name),
            quantity(found["parameters"], "").strip(),
            quantity(found["bytes"], "B"),
            f"{1000 * found['latency']:.1f} ms",
            quantity(found["throughput"], "rows/s"),
            f"{found['faster']['one']:.2f}x, {found['faster']['many']:.2f}x",
        ]
        for metric in names:
            deviation = found["std"][metric] if len(found["runs"]) > 1 else None
            kept = found["kept"].get(metric)
            row += [
                describe(metric).show(found["mean"][metric], deviation),
                "" if kept is None else f"{100 * kept:.1f} %",
            ]
        rows.append(row)
    return columns, rows


def report(result: dict[str, Any], console: Console) -> None:
    """Print the table on stdout."""
    columns, rows = table(result)
    counts = counted_each(result["rows"], "rows")
    console.table(columns, rows, title=f"{result['out']}: {counts}; {result['caption']}")
    one, many, several = (result["tokens"][key] for key in ("one", "many", "rows"))
    console.note(
        f"timed with {counted(result['threads'], 'threads')}: a row of {counted(one, 'tokens')}; "
        f"{counted(several, 'rows')}, {counted(many, 'tokens')} in all"
    )


def _middle(setup: FinetuneSetup, objective: TaskObjective, number: int) -> Batch:
    """Validation rows of medium length."""
    rows = setup.splits[setup.task.validation[0]]
    order = np.argsort(rows.lengths, kind="stable")
    first = max(0, (len(order) - number) // 2)
    chosen = order[first : first + number]
    draws = RandomStreams(0, 0)
    batch = objective.collate(rows.take(chosen), draws)
    return batch.to(next(objective.parameters()).device)
