"""Keys that affect others: those that replace the keys they exclude, and those without effect."""

from collections.abc import Iterator
from typing import Any

from nlptool.recipe.field_types import FieldType, blocks
from nlptool.recipe.source import COMMAND_LINE, Problem, RecipeSource
from nlptool.recipe.types import RecipeBlock


def replace(source: RecipeSource, schema: type[RecipeBlock]) -> None:
    """If a key excludes others, remove those given less closely, in place.

    The command line is closer than the file, and the file closer than its base. Removals by the command line are
    noted.
    """
    for path, block in list(blocks(schema, source.data)):
        values = _at(source.data, path)
        for key, others in block.replaces.items():
            given = f"{path}.{key}".removeprefix(".")
            if values.get(key) is None or _is_unnamed(block, key, values[key]):
                continue
            for other in others:
                where = f"{path}.{other}".removeprefix(".")
                place = source.places.get(where, "")
                if (
                    values.get(other) is None
                    or not place
                    or _distance(source, given) >= _distance(source, where)
                ):
                    continue
                if own := _of_command_line(source, where):
                    values[other] = own  # which the schema refuses; no key of the command line is ignored
                    continue
                del values[other]
                if _distance(source, given) < 0:
                    source.notes.append(f"{given} takes the place of {where} ({place})")


def _is_unnamed(block: type[RecipeBlock], key: str, value: Any) -> bool:
    """Whether a value belongs to a block whose keys depend on its `name`, so that alone it replaces nothing."""
    field = block.model_fields[key]
    chosen = FieldType.of(field.annotation, field.metadata).chosen
    return chosen is not None and isinstance(value, dict) and "name" not in value


def _of_command_line(source: RecipeSource, block: str) -> dict[str, Any]:
    """The keys inside a block that come from the command line itself."""
    found: dict[str, Any] = {}
    for path, place in source.places.items():
        if (
            path.startswith(f"{block}.")
            and place.startswith(COMMAND_LINE)
            and f"{COMMAND_LINE}~" not in place
        ):
            above, _, key = path.rpartition(".")
            inner = found
            for name in above.split(".")[block.count(".") + 1 :]:
                inner = inner.setdefault(name, {})
            if key in (holder := _at(source.data, above)):
                inner[key] = holder[key]
    return found


def _distance(source: RecipeSource, path: str) -> int:
    """Distance of a key from the command line: -1 on it, 0 in the file, more in the recipes that it extends."""
    return -1 if source.places.get(path, "").startswith(COMMAND_LINE) else source.inherited.get(path, 0)


def idle(recipe: RecipeBlock, source: RecipeSource) -> list[Problem]:
    """Given keys without effect: any of the command line, those of the file unless they have the default.

    A resolved recipe has every default, and must stay valid.
    """
    problems = []
    for path, block, key, why in _idle(recipe, ""):
        place = source.places.get(path, "")
        default = getattr(block, key) == type(block).model_fields[key].default
        removed = place.startswith(f"{COMMAND_LINE}~")
        if (place.startswith(COMMAND_LINE) and not removed) or (place and not default):
            problems.append(Problem(path, f"has no effect: {why}"))
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
    """The block under a dotted key; empty if there is none."""
    for key in path.split(".") if path else ():
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}
