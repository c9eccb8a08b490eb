"""A model takes a suite: it is fine-tuned on each task; what it has reached is kept, and asked for no second time.

OUT/TASK/          as finetune leaves it: predictions and scores of each seed, without weights
OUT/TASK.json      the scores, and of which weights and settings they are
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nlptool.commands import answering, finetuning
from nlptool.commands.finetune import check_task
from nlptool.commands.suite import Exam
from nlptool.console import Console, Options
from nlptool.files import digest
from nlptool.models import huggingface
from nlptool.recipe import digest as recipe_digest

MEAN = "mean"
WEIGHTS = ("rows", "checkpoints", "final")  # folders that are given up when a task is done


class Score(NamedTuple):
    """A figure of one model."""

    value: float
    """Mean over the seeds."""
    deviation: float
    """Between the seeds."""


def take(exams: Sequence[Exam], model: Path, out: Path, console: Console) -> list[dict[str, Any]]:
    """What a model reaches in each task that it can take; a folder of transformers, whatever it is called.

    Raises Preempted with the state saved: asked again, it goes on from there.
    """
    weights = digest(model / "model.safetensors")
    config = huggingface.load_pretrained(model).config
    found = []
    for number, exam in enumerate(exams, start=1):
        problems = check_task(exam.recipe.config, config)
        if problems:
            console.note(f"{exam.task} is not asked: {problems[0].message}")
            continue
        console.note(f"task {number} of {len(exams)}: {exam.task}")
        found.append(_one(exam, model, weights, out, console))
    return found


def _one(exam: Exam, model: Path, weights: str, out: Path, console: Console) -> dict[str, Any]:
    """The scores in one task, from an earlier time if nothing has changed since."""
    runs, kept = out / exam.task, out / f"{exam.task}.json"
    asked = {"model": weights, "recipe": recipe_digest(exam.recipe)}
    before = json.loads(kept.read_text("utf8")) if kept.exists() else {}
    same = before.get("asked") == asked
    if same and before["scores"]:
        found: dict[str, Any] = before["scores"]
        return found
    kept.parent.mkdir(parents=True, exist_ok=True)
    recipe = exam.recipe.model_copy(update={"start": str(model), "out": str(runs)})
    there = same and (runs / "recipe.yaml").exists()
    options = Options(out=str(runs), resume="auto" if there else None, overwrite=not there and runs.exists())
    answering.write_json(kept, {"asked": asked, "scores": None})
    result = finetuning.finetune(recipe, options, console)
    found = {
        "task": exam.task,
        "seeds": len(recipe.seeds),
        "guess": result["guess"],
        "figures": {
            name: {"value": result["mean"][name], "deviation": result["deviation"][name], "baseline": value}
            for name, value in result["baseline"].items()
        },
    }
    answering.write_json(kept, {"asked": asked, "scores": found})
    for folder in (runs, *runs.glob("seed-*")):
        for name in WEIGHTS:
            shutil.rmtree(folder / name, ignore_errors=True)
    return found


def mean(found: Sequence[dict[str, Any]]) -> Score:
    """Of a model over its tasks, each the mean of its figures, as GLUE has it (Wang et al. 2018, section 4)."""
    tasks = [list(one["figures"].values()) for one in found]
    value = sum(sum(f["value"] for f in figures) / len(figures) for figures in tasks) / len(tasks)
    variance = sum(sum(f["deviation"] for f in figures) ** 2 / len(figures) ** 2 for figures in tasks)
    return Score(value, variance**0.5 / len(tasks))


def table(models: Mapping[str, Sequence[dict[str, Any]]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a line for each figure of each task, a column for what needs no net, and one for each model."""
    lines: dict[tuple[str, str], dict[str, Score]] = {}
    guesses: dict[tuple[str, str], str] = {}
    for model, found in models.items():
        for one in found:
            for name, figure in one["figures"].items():
                key = one["task"], name
                lines.setdefault(key, {})[model] = Score(figure["value"], figure["deviation"])
                guesses[key] = f"{100 * figure['baseline']:.1f} ({one['guess']})"
    rows = [
        [task, name, guesses[task, name], *(_cell(scores.get(model)) for model in models)]
        for (task, name), scores in lines.items()
    ]
    tasks = [sorted(one["task"] for one in found) for found in models.values()]
    if len(lines) > 1 and tasks and all(names == tasks[0] for names in tasks):
        rows.append([MEAN, "", "", *(_cell(mean(found)) for found in models.values())])
    return ["task", "figure", "without a net", *models], rows


def _cell(score: Score | None) -> str:
    return "" if score is None else f"{100 * score.value:.1f} ± {100 * score.deviation:.1f}"
