"""Keys that act on others: one that takes the place of those it excludes, and one that changes nothing beside them."""

from collections.abc import Iterator
from typing import Any

from nlptool.recipe.field_types import blocks
from nlptool.recipe.source import COMMAND_LINE, Problem, RecipeSource
from nlptool.recipe.types import RecipeBlock


def replace(source: RecipeSource, schema: type[RecipeBlock]) -> None:
    """Where a key of the command line excludes others that the file gives, remove those, and note it in the source."""
    for path, block in list(blocks(schema, source.data)):
        values = _at(source.data, path)
        for key, others in block.replaces.items():
            given = f"{path}.{key}".removeprefix(".")
            if values.get(key) is None or not source.places.get(given, "").startswith(COMMAND_LINE):
                continue
            for other in others:
                where = f"{path}.{other}".removeprefix(".")
                place = source.places.get(where, "")
                if values.get(other) is not None and place and not place.startswith(COMMAND_LINE):
                    del values[other]
                    source.notes.append(f"{given} takes the place of {where} ({place})")


def idle(recipe: RecipeBlock, source: RecipeSource) -> list[Problem]:
    """The keys that were given and change nothing: any of the command line, those of the file but for defaults.

    A resolved recipe has every default, and is a recipe still.
    """
    problems = []
    for path, block, key, why in _idle(recipe, ""):
        place = source.places.get(path, "")
        default = getattr(block, key) == type(block).model_fields[key].default
        removed = place.startswith(f"{COMMAND_LINE}~")
        if (place.startswith(COMMAND_LINE) and not removed) or (place and not default):
            problems.append(Problem(path, f"changes nothing: {why}"))
    return problems


def _idle(value: Any, path: str) -> Iterator[tuple[str, RecipeBlock, str, str]]:
    if isinstance(value, RecipeBlock):
        for key, why in value.idle().items():
            yield f"{path}.{key}".removeprefix("."), value, key, why
        for key in type(value).model_fields:
            yield from _idle(getattr(value, key), f"{path}.{key}".removeprefix("."))
    elif isinstance(value, tuple):
        for at, entry in enumerate(value):
            yield from _idle(entry, f"{path}.{at}")
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _idle(entry, f"{path}.{name}")


def _at(data: Any, path: str) -> dict[str, Any]:
    """The block under a dotted key; an empty one where there is none."""
    for key in path.split(".") if path else ():
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}
