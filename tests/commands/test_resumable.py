"""Recipe keys that may differ on resume: those marked as resumable, and no others."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from test_recipes_run import BY_NAME, DISTILLING, PRETRAINING, PROMPTING, TEACHING, TOKENIZING, TUNING

from nlptool import registry
from nlptool.cli import main
from nlptool.commands.distill_task.recipe import Recipe as DistillTask
from nlptool.commands.finetune.recipe import Recipe as Finetune
from nlptool.commands.pretrain.recipe import Recipe as Pretrain
from nlptool.commands.prompt.recipe import Recipe as Prompt
from nlptool.commands.tokenize.recipe import Recipe as Tokenize
from nlptool.errors import UsageError
from nlptool.recipe import RecipeBlock, difference, is_resumable
from nlptool.recipe.field_types import FieldType
from nlptool.runs import folder

UPDATES = {
    *("gradient_accumulation", "lr", "warmup", "schedule", "min_lr_ratio", "cooldown", "max_grad_norm", "precision"),
    *("compile", "activation_checkpointing"),
    *("optimizer.betas", "optimizer.eps", "optimizer.weight_decay"),
}  # fmt: skip
TUNE = {*UPDATES, "epochs", "steps"}
RUNS = {"evaluate.every", "evaluate.select", "evaluate.patience", "seeds", "track", "out"}


def under(block: str, keys: set[str]) -> set[str]:
    return {f"{block}.{key}" for key in keys}


MAY_DIFFER: dict[type[RecipeBlock], set[str]] = {
    Pretrain: under("train", {*UPDATES, "steps", "budget"})
    | {"evaluate.every", "evaluate.batches", "save.every", "save.keep_last", "track", "out"},
    Finetune: under("train", TUNE) | RUNS | {"grid"},
    DistillTask: under("intermediate", TUNE) | under("prediction", TUNE) | RUNS | {"baseline_student"},
    Tokenize: {"workers", "out"},
    Prompt: {"models", "tasks", "data", "num_fewshot", "limit", "batch_size", "seed", "contamination", "out"},
}
"""Written out, so that a mark on a new key is a decision that is made twice."""

SHIPPED: dict[type[RecipeBlock], list[str]] = {
    Pretrain: [*PRETRAINING, *DISTILLING],
    Finetune: TUNING,
    DistillTask: TEACHING,
    Tokenize: TOKENIZING,
    Prompt: PROMPTING,
}


def keys(
    schema: type[RecipeBlock], above: str = "", chosen: Any = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of a schema, of every block that may stand in it; with values that choose these blocks."""
    for key, field in schema.model_fields.items():
        shape = FieldType.of(field.annotation, field.metadata)
        path = f"{above}.{key}".removeprefix(".")
        yield path, dict(chosen or {})
        blocks: list[tuple[str | None, type[RecipeBlock]]] = []
        if shape.chosen is not None:
            blocks = [(name, registry.config(shape.chosen.kind, name)) for name in shape.chosen.names]
        else:
            inside = [a for m in shape.members for a in (m, *get_args(m))]
            blocks = [(None, a) for a in inside if isinstance(a, type) and issubclass(a, RecipeBlock)]
        for name, block in blocks:
            yield from keys(block, path, (chosen or {}) | ({path: name} if name else {}))


def data(chosen: dict[str, str]) -> dict[str, Any]:
    """Values with these names of blocks."""
    made: dict[str, Any] = {}
    for path, name in chosen.items():
        at = made
        for key in path.split("."):
            at = at.setdefault(key, {})
        at["name"] = name
    return made


@pytest.mark.parametrize("schema", MAY_DIFFER)
def test_every_key_of_the_schema_is_fixed_unless_it_is_marked(schema: type[RecipeBlock]):
    may = {path for path, chosen in keys(schema) if is_resumable(schema, path.split("."), data(chosen))}
    wanted = MAY_DIFFER[schema]
    below = {path for path in may if any(path.startswith(f"{key}.") for key in wanted)}
    assert may - below == wanted


def leaves(values: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of plain values, as differences between recipes name them."""
    if (
        isinstance(values, dict) and values and not any("." in key for key in values)
    ):  # such as names of columns
        for key, value in values.items():
            yield from leaves(value, f"{above}.{key}".removeprefix("."))
    elif isinstance(values, list) and any(isinstance(value, dict) for value in values):
        for at, value in enumerate(values):
            yield from leaves(value, f"{above}.{at}")
    else:
        yield above, values


def others(value: Any) -> Iterator[Any]:
    """Values that might stand in another's place."""
    yield None
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value * 2 + 4, value / 2, value + 0.05, 0.5, 1)
    elif isinstance(value, list):
        yield from (value[::-1], value[:1], [*value, *value[-1:]], [*value, 99])
    else:
        yield from ("constant", "bf16", "lamb", "1 min", 3, 0.5, {}, [], "elsewhere", ["wandb"], [7])


def put(values: Any, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for key in above:
        values = values[int(key)] if isinstance(values, list) else values[key]
    values[int(last) if isinstance(values, list) else last] = value


@pytest.mark.parametrize("schema", MAY_DIFFER)
def test_every_key_of_every_shipped_recipe_is_refused_unless_it_is_marked(
    schema: type[RecipeBlock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "recipe.yaml").touch()
    seen: set[str] = set()
    for name in SHIPPED[schema]:
        before = schema.model_validate(as_tuples(BY_NAME[name]) | {"out": "here"})
        monkeypatch.setattr(folder, "kept", lambda run, schema, before=before: before)
        for path, value in leaves(before.model_dump(mode="json")):
            after = next(variants(before, path, value), None)
            if after is None:  # the only value that there is
                continue
            seen.add(path)
            may = any(path == key or path.startswith(f"{key}.") for key in MAY_DIFFER[schema])
            assert is_refused(tmp_path, after, path) is not may, (name, path)
    assert len(seen) > 5


def variants(recipe: RecipeBlock, path: str, value: Any) -> Iterator[RecipeBlock]:
    """Recipes that differ in this key."""
    for other in others(value):
        changed = recipe.model_dump(mode="json")
        put(changed, path, other)
        with suppress(ValidationError):
            after = type(recipe).model_validate(as_tuples(changed))
            if path in {change.path for change in difference(recipe, after)}:
                yield after


def is_refused(run: Path, recipe: RecipeBlock, path: str) -> bool:
    try:
        folder.check_resume(run, recipe)
    except UsageError as error:
        return f"  {path}: " in error.message
    return False


def as_tuples(value: Any) -> Any:
    """Lists as a recipe that is read has them."""
    if isinstance(value, dict):
        return {key: as_tuples(inner) for key, inner in value.items()}
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def test_a_mark_reaches_an_editor(capsys):
    assert main(["schema", "pretrain-mlm"]) == 0
    assert '"resumable": true' in capsys.readouterr().out
