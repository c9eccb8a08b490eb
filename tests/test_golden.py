"""Losses of a tiny run, step by step, against recorded ones. `make golden` records new ones."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from nlptool import registry
from nlptool.cli import main
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.recipe import load

GOLDEN = Path(__file__).parent / "golden"


def run_name(name: str, variant: dict[str, object]) -> str:
    """An objective and the settings that differ, e.g. mlm-whole_word-ngram or electra-learn_masked."""
    return "-".join([name, *(f"{k}_{v}" if isinstance(v, str) else k for k, v in variant.items())])


RUNS = {
    run_name(name, variant): (name, variant)
    for name in registry.objectives("tokens")
    for variant in import_module(f"objectives.facts.{name}").VARIANTS
}


@pytest.mark.golden
@pytest.mark.parametrize("name", RUNS)
def test_losses_are_those_of_before(
    name: str, tiny_recipe: Path, write_teacher, write_linked, tmp_path: Path, request
):
    objective, variant = RUNS[name]
    facts = import_module(f"objectives.facts.{objective}")
    model = {"dropout": 0, "attention_dropout": 0} | facts.MODEL
    changes = [f"model={json.dumps(model)}", f"objective={json.dumps({'name': objective, **variant})}"]
    if hasattr(facts, "TEACHER"):
        changes.append(f"teacher={write_teacher(tmp_path / 'teacher', facts.TEACHER)}")
    if registry.config("objectives", objective).reads_entities:
        changes += [f"{key}={value}" for key, value in write_linked(tmp_path, model["entity_size"]).items()]
    command = load(tiny_recipe, changes, Recipe).recipe.command
    new = request.config.getoption("--golden") == "write"
    every = 1 if new else 4  # what all steps came to shows in every fourth
    assert main([command, str(tiny_recipe), *changes, f"evaluate.every={every}"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses: dict[str, dict[str, float]] = {}
    for line in lines:
        for term in facts.AT_INIT:
            if f"heldout/{term}" in line:
                losses.setdefault(term, {})[str(line["step"])] = line[f"heldout/{term}"]
    path = GOLDEN / f"{name}.json"
    if new:
        path.write_text(json.dumps(losses, indent=2) + "\n")
    # Sums come in another order with other kernels, so not to the last bit on every machine.
    known = json.loads(path.read_text())
    assert losses.keys() == known.keys()
    for term, figures in losses.items():
        expected = {step: known[term][step] for step in known[term] if int(step) % every == 0}
        assert figures == pytest.approx(expected, abs=1e-4), term
