"""A model takes a suite: what it has reached in a task is kept, and asked for no second time.

OUT/prompt/        as prompt leaves it: every answer
OUT/TASK/          as finetune leaves it: predictions and scores of each seed, without weights
OUT/TASK.json      the scores, and of which weights and settings they are
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

BASELINES = ("majority", "chance")  # what a score is compared with, the first that is known
WEIGHTS = ("rows", "checkpoints", "final")  # folders that are given up when a task is done


def take(suite: ResolvedSuite, model: Path, out: Path, console: Console) -> list[dict[str, Any]]:
    """What a model reaches in each task that it can take; a folder of transformers, whatever it is called.

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
    """The first score of each prompted task; answers known already are not asked for again."""
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
        "score": [] if name == PERPLEXITY else [name],  # which is no share
        "excluded": False,
        "figures": {name: figure},
    }


def _one(
    task: SuiteTask, model: Path, weights: str, out: Path, console: Console, positions: int
) -> dict[str, Any]:
    """The scores in one task, from an earlier time if nothing has changed since. positions: those of the model."""
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
