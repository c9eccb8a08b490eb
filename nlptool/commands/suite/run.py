"""Runs a suite with one model; finished tasks are cached.

OUT/prompt/        output of prompt: every response
OUT/TASK/          output of finetune: predictions and scores of each seed, without weights
OUT/TASK.json      the scores, with digests of weights and settings
"""

import shutil
from pathlib import Path
from typing import Any

from nlptool.atomic_files import read_or_recompute, write_json
from nlptool.commands.finetune import run
from nlptool.commands.prompt import recipe as prompt
from nlptool.commands.prompt import run as prompting
from nlptool.commands.suite.recipe import ResolvedSuite, SuiteTask
from nlptool.console import Console, Options
from nlptool.manifests import digest
from nlptool.metric_table import PERPLEXITY
from nlptool.models import huggingface
from nlptool.prompting.prompted_model import PromptedModel
from nlptool.prompting.results import shots_text
from nlptool.recipe import digest as recipe_digest
from nlptool.runs import machine

BASELINES = ("majority", "chance")  # baselines of a score, in order of preference
WEIGHTS = ("rows", "checkpoints", "final")  # folders removed when a task is finished


def take(suite: ResolvedSuite, model: Path, out: Path, console: Console) -> list[dict[str, Any]]:
    """A model's scores in each task that it can do; the model is a folder of transformers.

    Raises Preempted with the state saved: run again, it resumes.
    """
    found = (
        _prompted_scores(suite.prompted, model, out / "prompt", console) if suite.prompted is not None else []
    )
    if not suite.tuned:
        return found
    weights = digest(model / "model.safetensors")
    config = huggingface.load_pretrained(model).config
    for number, task in enumerate(suite.tuned, start=1):
        problems = task.recipe.task.check(config)
        if problems:
            console.note(f"{task.task} is skipped: {problems[0].message}")
            continue
        console.note(f"task {number} of {len(suite.tuned)}: {task.task}")
        length, positions = task.recipe.train.sequence_length, config.max_positions
        if length > positions:
            console.note(
                f"{task.task}: rows are cut to the model's {positions} positions; the suite has {length}"
            )
        found.append(_one(task, model, weights, out, console, positions))
    return found


def _prompted_scores(recipe: prompt.Recipe, model: Path, out: Path, console: Console) -> list[dict[str, Any]]:
    """The first metric of each prompted task; cached responses are reused."""
    prompted = PromptedModel(str(model), str(model), model, machine.device())
    if missing := prompted.missing_capability:
        console.note(f"prompted tasks are skipped: {missing}")
        return []
    generates = prompted.is_decoder
    able = tuple(one for one in recipe.tasks if generates or one.task.generation is None)
    for one in recipe.tasks:
        if one not in able:
            console.note(f"{one.name} is skipped: an encoder does not generate text")
    if not able:
        return []
    recipe = recipe.model_copy(update={"models": (str(model),), "tasks": able, "out": str(out)})
    options = Options(out=str(out), resume="auto" if out.exists() else None)
    records = prompting.evaluate(recipe, options, console)
    write_json(out / "results.json", records)
    splits = {one.name: one.task.validation for one in able}
    return [_first_score(record, splits[record["task"]]) for record in records]


def _first_score(record: dict[str, Any], split: str) -> dict[str, Any]:
    name, score = next(iter(record["scores"].items()))
    baseline_name = next((one for one in BASELINES if one in record["baselines"]), None)
    figure = {
        "value": score["value"],
        "std": score["error"] or 0.0,
        "baseline": record["baselines"][baseline_name] if baseline_name else None,
    }
    task = f"{record['task']}, {shots_text(record['num_fewshot'])}"
    return {
        "task": task,
        "baseline_name": baseline_name,
        "splits": [split],
        "score": [] if name == PERPLEXITY else [name],  # which is not a share
        "excluded": False,
        "figures": {name: figure},
    }


def _one(
    task: SuiteTask, model: Path, weights: str, out: Path, console: Console, positions: int
) -> dict[str, Any]:
    """The scores in one task, cached if nothing has changed since. positions: of the model."""
    runs, kept = out / task.task, out / f"{task.task}.json"
    inputs = {"model": weights, "recipe": recipe_digest(task.recipe)}
    before = read_or_recompute(kept, dict) or {}
    same = before.get("inputs") == inputs
    if same and isinstance(found := before.get("scores"), dict):
        return found | {"excluded": task.excluded}
    kept.parent.mkdir(parents=True, exist_ok=True)
    length = min(task.recipe.train.sequence_length, positions)
    train = task.recipe.train.model_copy(update={"sequence_length": length})
    recipe = task.recipe.model_copy(update={"init_from": str(model), "out": str(runs), "train": train})
    there = same and (runs / "recipe.yaml").exists()
    options = Options(out=str(runs), resume="auto" if there else None, overwrite=not there and runs.exists())
    write_json(kept, {"inputs": inputs, "scores": None})
    result = run.finetune(recipe, options, console)
    found = {
        "task": task.task,
        "seeds": len(recipe.seeds),
        "baseline_name": result["baseline_name"],
        "splits": list(recipe.task.validation),
        "score": list(recipe.task.scored),
        "excluded": task.excluded,
        "figures": {
            name: {"value": result["mean"][name], "std": result["std"][name], "baseline": value}
            for name, value in result["baseline"].items()
        },
    }
    write_json(kept, {"inputs": inputs, "scores": found})
    for folder in (runs, *runs.glob("seed-*")):
        for name in WEIGHTS:
            shutil.rmtree(folder / name, ignore_errors=True)
    return found
