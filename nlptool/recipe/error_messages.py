"""Validation of recipes, with pydantic's errors in plain words: what was expected, found, and probably meant."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nlptool.formatting import brief
from nlptool.recipe import renamed
from nlptool.recipe.field_types import MENTIONED_WHEN_EXCEEDED, FieldType, blocks, holds, shape_at
from nlptool.recipe.source import SHOWN, Problem, RecipeSource
from nlptool.recipe.types import RecipeBlock

OTHERS = {  # keys of other tools, and ours
    "learning_rate": "lr",
    "max_lr": "lr",
    "train_batch_size": "batch_size",
    "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "gradient_checkpointing": "activation_checkpointing",
    "grad_clip": "max_grad_norm",
    "max_steps": "steps",
    "max_iters": "steps",
    "num_steps": "steps",
    "epochs": "budget",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "warmup_steps": "warmup",
    "warmup_ratio": "warmup",
    "warmup_iters": "warmup",
    "lr_scheduler_type": "schedule",
    "lr_scheduler": "schedule",
    "adam_epsilon": "eps",
    "beta1": "betas",
    "adam_beta1": "betas",
    "beta2": "betas",
    "adam_beta2": "betas",
    "min_lr": "min_lr_ratio",
    "min_lr_rate": "min_lr_ratio",
    "bf16": "precision",
    "fp16": "precision",
    "dtype": "precision",
    "max_length": "sequence_length",
    "max_seq_length": "sequence_length",
    "seq_length": "sequence_length",
    "block_size": "sequence_length",
    "context_length": "sequence_length",
    "hidden_size": "hidden",
    "n_embd": "hidden",
    "num_hidden_layers": "layers",
    "n_layer": "layers",
    "num_attention_heads": "heads",
    "n_head": "heads",
    "intermediate_size": "intermediate",
    "max_position_embeddings": "max_positions",
    "n_positions": "max_positions",
    "output_dir": "out",
    "eval_steps": "every",
    "save_steps": "every",
    "save_total_limit": "keep_last",
    "mlm_probability": "mask_rate",
}
Schema = TypeVar("Schema", bound=RecipeBlock)
NEAR = 0.75  # similarity from which on a key of another block is suggested


def validate(source: RecipeSource, schema: type[Schema]) -> Schema:
    """The recipe of a source. Raises RecipeError with every problem at once."""
    try:
        recipe = schema.model_validate(source.data)
    except ValidationError as error:
        known = {problem.path for problem in source.problems}
        source.problems += [p for p in explain(error, schema, source.data) if p.path not in known]
    source.refuse(source.problems)
    return recipe


def explain(error: ValidationError, schema: type[RecipeBlock], data: dict[str, Any]) -> list[Problem]:
    """The problems of a failed validation of `data` as `schema`, one for each key."""
    problems: dict[str, Problem] = {}
    given_otherwise = set()
    explained = 0
    for detail in error.errors(include_url=False):
        keys = _keys(detail, data)
        path = ".".join(map(str, keys))
        if path not in problems:
            explained += 1  # suggestions take time, and nobody reads all of them
            message = _message(detail, keys, schema, data) if explained <= SHOWN else str(detail["msg"])
            problems[path] = Problem(path, message)
        if detail["type"] == "extra_forbidden" and (now := _renamed(keys, schema, data)):
            given_otherwise.add(now)
    deeper = {path.rpartition(".")[0] for path in problems}
    while above := {path.rpartition(".")[0] for path in deeper} - deeper:
        deeper |= above
    # If a key may have two types, a fault inside of one says more than the mismatch with the other.
    return [p for p in problems.values() if p.path not in given_otherwise | (deeper - {""})]


def _renamed(keys: Sequence[str | int], schema: type[RecipeBlock], data: dict[str, Any]) -> str | None:
    """The current name of a key of an earlier version, with dots."""
    block = _block(keys[:-1], schema, data)
    now = renamed.key(str(keys[-1]), block.model_fields) if block else None
    return ".".join(map(str, [*keys[:-1], now])) if now else None


def _block(
    keys: Sequence[str | int], schema: type[RecipeBlock], data: dict[str, Any]
) -> type[RecipeBlock] | None:
    """The block under these keys."""
    inside: Any = data
    for key in keys:
        inside = inside[key]
    shape = shape_at(schema, keys, data)
    return shape.block(inside) if shape else None


def _keys(detail: ErrorDetails, data: Any) -> list[str | int]:
    """The keys of an error's place, without the names of union members that pydantic inserts."""
    keys: list[str | int] = []
    *path, last = detail["loc"] or ("",)
    for key in path:
        if holds(data, key):
            keys.append(key)
            data = data[key]
    if detail["type"] == "missing" or holds(data, last):
        keys.append(last)
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found") and isinstance(detail["input"], dict):
        keys.append("name")
    return keys


def _message(
    detail: ErrorDetails, keys: list[str | int], schema: type[RecipeBlock], data: dict[str, Any]
) -> str:
    kind = detail["type"]
    if kind in ("value_error", "assertion_error"):
        return str(detail["ctx"]["error"])
    if kind == "expected":
        return f"expected {detail['ctx']['expected']}; found {found(detail['input'])}"
    if kind == "less_than_equal" and detail["ctx"]["le"] >= MENTIONED_WHEN_EXCEEDED:
        return f"expected at most {detail['ctx']['le']:,}; found {found(detail['input'])}"
    if kind == "extra_forbidden":
        if now := _renamed(keys, schema, data):
            return f"{'.'.join(map(str, keys))} is now {now}"
        return _unknown(str(keys[-1]), keys[:-1], schema, data)
    shape = shape_at(schema, keys, data)
    if kind == "missing" or (kind == "union_tag_not_found" and isinstance(detail["input"], dict)):
        return f"missing; expected {shape}"
    if shape is None:
        return detail["msg"]
    value = detail["ctx"]["tag"] if kind == "union_tag_invalid" else detail["input"]
    under = next((str(key) for key in reversed(keys) if isinstance(key, str)), "")
    if now := renamed.value(under, value, shape.choices):
        return f"{value} is now {now}"
    return f"expected {shape}; found {found(value)}{_meant(value, shape)}"


def _meant(value: Any, shape: FieldType) -> str:
    """A suggestion for a refused value, if it is clear."""
    if close := get_close_matches(str(value), shape.choices, 1):
        return f"; did you mean {close[0]}?"
    if isinstance(value, str) and bool in shape.members:
        return "; write true or false"
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        return "; drop the quotes"
    if isinstance(value, int | float) and str in shape.members:
        return f'; write it in quotes, "{found(value)}"'
    return ""


def _unknown(key: str, above: Sequence[str | int], schema: type[RecipeBlock], data: dict[str, Any]) -> str:
    """Why a key is refused in the block `above`, with the key or block that was probably meant."""
    block = _block(above, schema, data)
    own = list(block.model_fields) if block else []
    if others := _siblings_with(key, above, schema, data):
        name = block.model_fields["name"].default if block else ""
        return f"unknown key of {name}; {' and '.join(others)} {'has' if len(others) == 1 else 'have'} it"
    elsewhere: dict[str, list[str]] = {}
    for path, other in blocks(schema, data):
        for name in other.model_fields if other is not block else ():
            elsewhere.setdefault(name, []).append(path)
    if key in elsewhere:
        return f"unknown key here; it belongs {_under(elsewhere[key])}"
    for meant in _elsewhere_called(key):
        if meant in own:
            return f"unknown key; did you mean {meant}{', e.g. 3 epochs' if meant == 'budget' else ''}?"
    if close := get_close_matches(key, own, 1):
        return f"unknown key; did you mean {close[0]}?"
    for meant in _elsewhere_called(key):
        if meant in elsewhere:
            return f"unknown key; did you mean {meant} {_under(elsewhere[meant])}?"
    if close := get_close_matches(key, elsewhere, 1, NEAR):
        return f"unknown key; did you mean {close[0]} {_under(elsewhere[close[0]])}?"
    return f"unknown key; expected one of {', '.join(own)}"


def _siblings_with(
    key: str, above: Sequence[str | int], schema: type[RecipeBlock], data: dict[str, Any]
) -> list[str]:
    """The names of blocks that could stand in place of `above` and have this key."""
    shape = shape_at(schema, above, data)
    if shape is None or shape.chosen is None:
        return []
    return [name for name in shape.chosen.names if key in shape.chosen.block(name).model_fields]


def _elsewhere_called(key: str) -> list[str]:
    """Our names for a key of another tool, most probable first."""
    first = OTHERS.get(key)
    return [name for name in (first, OTHERS.get(first or "")) if name is not None]


def _under(paths: Sequence[str]) -> str:
    return " or ".join(f"under {path}:" if path else "at the top of the recipe" for path in paths)


def found(value: Any) -> str:
    """A value in readable form."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'the text "{brief(value)}"'
    if isinstance(value, dict):
        return f"a block ({brief(', '.join(map(str, value)))})" if value else "an empty block"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    return brief(str(value))
