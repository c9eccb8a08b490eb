"""Properties of a run for every objective and its variants, which are found by their folders."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from nlptool import registry
from nlptool.cli import main
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.metric_table import HELD_OUT, describe
from nlptool.models import huggingface
from nlptool.runs import metrics_file

CASES = {
    "-".join([name, *(f"{key}-{value}" for key, value in variant.items())]): (name, variant)
    for name in registry.names("objectives")
    for variant in import_module(f"objectives.facts.{name}").VARIANTS
}


@pytest.fixture(scope="module", params=CASES)
def command(
    request: pytest.FixtureRequest, tmp_path_factory, tiny_store: Path, write_teacher, write_linked
) -> list[str]:
    """A command line that trains the objective for 8 steps, with dropout."""
    name, variant = CASES[request.param]
    facts = import_module(f"objectives.facts.{name}")
    if hasattr(facts, "GRAPH"):
        folder = tmp_path_factory.mktemp(name)
        (folder / "recipe.yaml").write_text(json.dumps(facts.recipe(folder, variant)))
        return [f"pretrain-{name}", str(folder / "recipe.yaml")]
    model = {"dropout": 0.1, "attention_dropout": 0.1} | facts.MODEL
    recipe: dict[str, Any] = {
        "store": str(tiny_store),
        "model": model,
        "objective": {"name": name, **variant},
        "train": {
            "steps": 8,
            "batch_size": 8,
            "sequence_length": 32,
            "lr": 1e-3,
            "gradient_accumulation": 2,
        },
        "evaluate": {"every": 4, "batches": 2},
        "save": {"every": 5, "keep_last": 2},
        "out": "told on the command line",
    }
    folder = tmp_path_factory.mktemp(name)
    if hasattr(facts, "TEACHER"):
        recipe["teacher"] = str(write_teacher(folder / "teacher", facts.TEACHER))
    if registry.config("objectives", name).reads_entities:
        recipe |= write_linked(folder, model["entity_size"])
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return [Recipe.model_validate(recipe).command, str(path)]


@pytest.fixture(scope="module")
def finished(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, carried out without a stop."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main([*command, "--out", str(out)]) == 0
    return out


def held_out(run: Path) -> dict[str, dict[int, float]]:
    return {name: found for name, found in metrics_file.series(run).items() if name.startswith(HELD_OUT)}


def test_a_run_that_was_killed_is_resumed_to_the_same_bits(
    command: list[str], finished: Path, tmp_path: Path
) -> None:
    """Killed behind its last step: what it leaves is a checkpoint, and lines of later steps in metrics.jsonl."""
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "final")
    _, last = sorted((out / "checkpoints").iterdir())
    shutil.rmtree(last)
    assert main([*command, "--out", str(out), "--resume", "auto"]) == 0
    models = [path.relative_to(finished) for path in finished.glob("final/**/model.safetensors")]
    assert models
    for model in models:
        assert (out / model).read_bytes() == (finished / model).read_bytes()
    assert held_out(out) == held_out(finished)


def test_the_doctor_finds_nothing(finished: Path) -> None:
    assert main(["doctor", str(finished)]) == 0


def test_what_is_exported_loads_in_transformers_without_a_stray_key(finished: Path) -> None:
    if not (finished / "final" / "tokenizer.json").exists():
        pytest.skip("it reads no text, and transformers has no class for it")
    references = pytest.importorskip("references")
    for config in finished.glob("final/**/config.json"):
        (name,) = json.loads(config.read_text())["architectures"]
        family = huggingface.read_model_config(config.parent).name
        _, told = getattr(references.classes(family), name).from_pretrained(
            config.parent, output_loading_info=True
        )
        bare = name == "BertModel"  # has a pooler there, which nothing trains before a task does
        told["missing_keys"] = {k for k in told["missing_keys"] if not (bare and k.startswith("pooler."))}
        assert not any(told.values()), (name, told)


def test_a_checkpoint_is_exported_as_the_end_of_the_run_was(finished: Path, tmp_path: Path) -> None:
    assert main(["export", str(finished), "--out", str(tmp_path / "hf")]) == 0
    for path in [*finished.glob("final/**/*.safetensors"), *finished.glob("final/**/README.md")]:
        assert (tmp_path / "hf" / path.relative_to(finished / "final")).read_bytes() == path.read_bytes()


def test_every_figure_that_a_run_writes_is_declared(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    names = {name.removeprefix(HELD_OUT) for line in lines for name in line} - {"step"}
    assert {name for name in names if describe(name).kind == "other"} == set()


def test_a_segment_type_that_no_row_has_is_a_copy_of_type_0_in_final(command: list[str], finished: Path):
    objective = json.loads(Path(command[1]).read_text())["objective"]
    resolved = registry.config("objectives", objective["name"]).model_validate(objective).model_dump()
    two = objective["name"] == "sop" or resolved.get("next_sentence") or "input_format" in objective
    for path in finished.glob("final/**/model.safetensors"):
        for name, types_SD in load_file(path).items():
            if name.endswith("token_type_embeddings.weight"):
                assert bool((types_SD[0] != types_SD[1]).any()) == bool(two)
