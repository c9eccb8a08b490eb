"""`nlptool schema`: the JSON schema of a command's recipe, or of a task's file.

An editor with YAML support completes and checks a recipe whose first line names the schema's file:

    # yaml-language-server: $schema=pretrain-mlm.json
"""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import TypeAdapter

from nlptool.console import Console
from nlptool.recipe import RecipeBlock
from nlptool.recipe.extends import DESCRIPTION, EXTENDS
from nlptool.registry import DiscriminatedBy
from nlptool.tasks.config import TaskConfig

DEFS = "#/$defs/"


def run(command: str, recipe: type[RecipeBlock], console: Console) -> None:
    """Print the schema of `command`'s recipe."""
    console.json(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **with_short_names(with_extends(of_command(command, recipe.model_json_schema()))),
            "title": f"nlptool {command}",
        }
    )


def run_task(console: Console) -> None:
    """Print the schema of a file that describes a labelled task."""
    console.json(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "nlptool task",
            **with_short_names(of_task()),
        }
    )


def with_extends(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose file may extend another, so that no key is required."""
    properties = {EXTENDS: {"type": "string", "description": DESCRIPTION}, **schema["properties"]}
    needed = {key: value for key, value in schema.items() if key == "required"}
    found = {**schema, "properties": properties} | (
        {"anyOf": [{"required": [EXTENDS]}, needed]} if needed else {}
    )
    found.pop("required", None)
    return found


def with_short_names(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose blocks of several kinds are named after their folder: models.albert, objectives.mlm."""
    text = re.sub(r"nlptool__(\w+?)__(\w+?)__config__Config", r"\1.\2", json.dumps(schema))
    return json.loads(text)  # type: ignore[no-any-return]


def of_task() -> dict[str, Any]:
    """The schema of a labelled task's block, of any kind."""
    return TypeAdapter(Annotated[TaskConfig, DiscriminatedBy("tasks")]).json_schema()


def of_command(command: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema shared by several commands, without the keys and blocks that this command lacks."""
    blocks = schema.pop("$defs", {})
    others = {DEFS + name for name, block in blocks.items() if _is_of_another(block, command)}
    kept = _without(others, command, schema)
    found: dict[str, Any] = {}
    waiting = list(_refs(kept))
    while waiting:
        name = waiting.pop().removeprefix(DEFS)
        if name not in found:
            found[name] = _without(others, command, blocks[name])
            waiting += _refs(found[name])
    return {**kept, "$defs": dict(sorted(found.items()))}


def _without(others: set[str], command: str, value: Any) -> Any:
    """The value without references to other commands' blocks and without their keys."""
    if isinstance(value, list):
        return [
            _without(others, command, item)
            for item in value
            if not (isinstance(item, dict) and item.get("$ref") in others)
        ]
    if isinstance(value, dict):
        return {
            key: _without(others, command, item)
            for key, item in value.items()
            if not (isinstance(item, str) and item in others) and not _is_of_another(item, command)
        }
    return value


def _is_of_another(schema: Any, command: str) -> bool:
    """Whether a key or block is marked as another command's; the schema of a key named `only` is not a text."""
    mark = schema.get("only") if isinstance(schema, dict) else None
    return isinstance(mark, str) and mark != command


def _refs(value: Any) -> Iterator[str]:
    """All blocks referred to in a schema."""
    if isinstance(value, str) and value.startswith(DEFS):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _refs(inner)
