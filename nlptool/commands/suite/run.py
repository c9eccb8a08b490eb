"""A model takes a suite: what it has reached in a task is kept, and asked for no second time.

OUT/prompt/        as prompt leaves it: every answer
OUT/TASK/          as finetune leaves it: predictions and scores of each seed, without weights
OUT/TASK.json      the scores, and of which weights and settings they are
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nlptool.atomic_files import read_json, write_json
from nlptool.commands.finetune import run
from nlptool.commands.prompt import recipe as prompt
from nlptool.commands.prompt import run as prompting
from nlptool.commands.suite.recipe import ResolvedSuite, SuiteTask
from nlptool.console import Console, Options
from nlptool.errors import DataError
from nlptool.manifests import digest
from nlptool.models import huggingface
from nlptool.prompting.prompted_model import PromptedModel
from nlptool.prompting.results import PERPLEXITY, format_score, metric_title, shots_text
from nlptool.recipe import digest as recipe_digest
from nlptool.runs import machine

GUESSES = ("majority", "chance")  # what a score is compared with, the first that is known
WEIGHTS = ("rows", "checkpoints", "final")  # folders that are given up when a task is done


class MeanAndStd(NamedTuple):
    """A figure of one model."""

    value: float
    """Mean over the seeds, or over the questions."""
    deviation: float
    """Between the seeds; of prompted tasks the standard error."""


def take(exams: ResolvedSuite, model: Path, out: Path, console: Console) -> list[dict[str, Any]]:
    """What a model reaches in each task that it can take; a folder of transformers, whatever it is called.

    Raises Preempted with the state saved: asked again, it goes on from there.
    """
    found = _asked(exams.asked, model, out / "prompt", console) if exams.asked is not None else []
    if not exams.tuned:
        return found
    weights = digest(model / "model.safetensors")
    config = huggingface.load_pretrained(model).config
    for number, exam in enumerate(exams.tuned, start=1):
        problems = exam.recipe.task.check(config)
        if problems:
            console.note(f"{exam.task} is not asked: {problems[0].message}")
            continue
        console.note(f"task {number} of {len(exams.tuned)}: {exam.task}")
        found.append(_one(exam, model, weights, out, console))
    return found


def _asked(recipe: prompt.Recipe, model: Path, out: Path, console: Console) -> list[dict[str, Any]]:
    """The first score of each prompted task; answers known already are not asked for again."""
    prompted = PromptedModel(str(model), str(model), model, machine.device())
    if missing := prompted.missing_capability:
        console.note(f"prompted tasks are not asked: {missing}")
        return []
    generates = prompted.is_decoder
    able = tuple(one for one in recipe.tasks if generates or one.config.generation is None)
    for one in recipe.tasks:
        if one not in able:
            console.note(f"{one.name} is not asked: an encoder writes no text")
    if not able:
        return []
    recipe = recipe.model_copy(update={"models": (str(model),), "tasks": able, "out": str(out)})
    options = Options(out=str(out), resume="auto" if out.exists() else None)
    records = prompting.evaluate(recipe, options, console)
    write_json(out / "results.json", records)
    splits = {one.name: one.config.validation for one in able}
    return [_first_score(record, splits[record["task"]]) for record in records]


def _first_score(record: dict[str, Any], split: str) -> dict[str, Any]:
    name, score = next(iter(record["scores"].items()))
    guess = next((one for one in GUESSES if one in record["baselines"]), None)
    figure = {
        "value": score["value"],
        "deviation": score["error"] or 0.0,
        "baseline": record["baselines"][guess] if guess else None,
    }
    task = f"{record['task']}, {shots_text(record['shots'])}"
    return {
        "task": task,
        "guess": guess,
        "splits": [split],
        "score": [] if name == PERPLEXITY else [name],  # which is no share
        "excluded": False,
        "figures": {name: figure},
    }


def _one(exam: SuiteTask, model: Path, weights: str, out: Path, console: Console) -> dict[str, Any]:
    """The scores in one task, from an earlier time if nothing has changed since."""
    runs, kept = out / exam.task, out / f"{exam.task}.json"
    asked = {"model": weights, "recipe": recipe_digest(exam.recipe)}
    before = _known(kept)
    same = before.get("asked") == asked
    if same and isinstance(found := before.get("scores"), dict):
        return found | {"excluded": exam.excluded}
    kept.parent.mkdir(parents=True, exist_ok=True)
    recipe = exam.recipe.model_copy(update={"start": str(model), "out": str(runs)})
    there = same and (runs / "recipe.yaml").exists()
    options = Options(out=str(runs), resume="auto" if there else None, overwrite=not there and runs.exists())
    write_json(kept, {"asked": asked, "scores": None})
    result = run.finetune(recipe, options, console)
    found = {
        "task": exam.task,
        "seeds": len(recipe.seeds),
        "guess": result["guess"],
        "splits": list(recipe.task.validation),
        "score": list(recipe.task.scored),
        "excluded": exam.excluded,
        "figures": {
            name: {"value": result["mean"][name], "deviation": result["deviation"][name], "baseline": value}
            for name, value in result["baseline"].items()
        },
    }
    write_json(kept, {"asked": asked, "scores": found})
    for folder in (runs, *runs.glob("seed-*")):
        for name in WEIGHTS:
            shutil.rmtree(folder / name, ignore_errors=True)
    return found


def _known(path: Path) -> dict[str, Any]:
    """What was found at an earlier time; nothing where the file is damaged, so that it is found anew."""
    try:
        return read_json(path, dict)
    except (FileNotFoundError, DataError):
        return {}


def mean(found: Sequence[dict[str, Any]], *, whole: bool = False) -> MeanAndStd | None:
    """Of a model over its tasks, each the mean of the figures that its `score` names (Wang et al. 2018, section 4).

    Tasks that the suite excludes do not count, unless `whole` is asked for, or nothing else is there; nor do
    perplexities, which are no shares. None where no task counts.
    """
    counting = found if whole else [one for one in found if not one["excluded"]] or found
    tasks = [[one["figures"][name] for name in one["score"]] for one in counting if one["score"]]
    if not tasks:
        return None
    value = sum(sum(f["value"] for f in figures) / len(figures) for figures in tasks) / len(tasks)
    variance = sum(sum(f["deviation"] for f in figures) ** 2 / len(figures) ** 2 for figures in tasks)
    return MeanAndStd(value, variance**0.5 / len(tasks))


def table(models: Mapping[str, Sequence[dict[str, Any]]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a line for each figure of each task, a column for what needs no net, and one for each model."""
    lines: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    guesses: dict[tuple[str, str], str] = {}
    for model, found in models.items():
        for one in found:
            for name, figure in one["figures"].items():
                key = one["task"], name
                lines.setdefault(key, {})[model] = figure
                known = figure["baseline"] is not None
                guesses[key] = f"{100 * figure['baseline']:.1f} ({one['guess']})" if known else ""
    rows = [
        [
            task,
            metric_title(name),
            guesses[task, name],
            *(_cell(name, figures.get(model)) for model in models),
        ]
        for (task, name), figures in lines.items()
    ]
    tasks = [sorted(one["task"] for one in found) for found in models.values()]
    if len(lines) > 1 and all(names == tasks[0] for names in tasks):
        rows += _means(list(models.values()))
    return ["task", "figure", "without a net", *models], rows


def _means(models: Sequence[Sequence[dict[str, Any]]]) -> Iterator[list[str]]:
    """A line of means that says on which rows they are; a second one with the tasks that the first leaves out."""
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
    return "" if figure is None else format_score(name, figure["value"], figure["deviation"] or None)
