"""Recipes as frozen values: read, written in full, hashed, compared."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from nlptool.atomic_files import read_text
from nlptool.errors import DataError, RecipeError
from nlptool.recipe import renamed
from nlptool.recipe.by_name import spell_out
from nlptool.recipe.error_messages import validate
from nlptool.recipe.extends import read
from nlptool.recipe.field_types import FieldType, mark
from nlptool.recipe.source import Problem, RecipeSource, override, parse
from nlptool.recipe.types import RecipeBlock
from nlptool.recipe.unused_keys import idle, replace

Recipe = TypeVar("Recipe", bound=RecipeBlock)


@dataclass(frozen=True)
class LoadedRecipe(Generic[Recipe]):
    """A recipe and where each of its keys was written."""

    recipe: Recipe
    source: RecipeSource

    def require(self, problems: Sequence[Problem]) -> None:
        """Raise RecipeError with every problem, file and line, if there are any."""
        self.source.refuse(problems)


def load(path: Path, overrides: Sequence[str], schema: type[Recipe]) -> LoadedRecipe[Recipe]:
    """Read `path`, apply `a.b=value` and `~a.b`, check against `schema`.

    Raises RecipeError with every problem at once: place, expected and found value, and what was probably meant.
    """
    loaded = check(read(path), overrides, schema)
    loaded.require(idle(loaded.recipe, loaded.source))
    return loaded


def loads(text: str, schema: type[Recipe]) -> Recipe:
    """Read a recipe from a text, e.g. the result of `dump`. Raises RecipeError."""
    return check(parse(text, "recipe"), (), schema).recipe


KEPT = "recipe.yaml"
REMEDY = "restore the file, or start the run again with --overwrite"


def kept_source(run: Path, schema: type[RecipeBlock] | None = None) -> RecipeSource:
    """The text of a run folder's recipe. Raises DataError where it cannot be read.

    schema: of the recipe; keys of earlier versions are renamed.
    """
    path = run / KEPT
    try:
        source = parse(read_text(path, REMEDY), str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: is missing", hint=REMEDY) from None
    except RecipeError as error:
        raise DataError(error.message, hint=REMEDY) from None
    if schema is not None:
        source.data = renamed.translated(source.data, FieldType.of(schema))
    return source


def kept(run: Path, schema: type[Recipe]) -> Recipe:
    """The recipe of a run folder. Raises DataError where it cannot be read."""
    source = kept_source(run, schema)
    try:
        return check(source, (), schema).recipe
    except RecipeError as error:
        hint = f"it was written by another version of nlptool, or changed since; {REMEDY}"
        raise DataError(error.message, hint=hint) from None


def check(source: RecipeSource, overrides: Sequence[str], schema: type[Recipe]) -> LoadedRecipe[Recipe]:
    """Apply the overrides and check against `schema`. Raises RecipeError with every problem at once."""
    for argument in overrides:
        spell_out(source, argument, schema)
        override(source, (argument,))
    replace(source, schema)
    return LoadedRecipe(validate(source, schema), source)


ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}  # in YAML's double quotes


def dump(recipe: RecipeBlock) -> str:
    """The recipe as YAML with every default and its description; `load` reads it back to an equal value.

    A key of another command alone is left out while it is not set.
    """
    return "\n".join(_lines(recipe, recipe.model_dump(mode="json"))) + "\n"


def dump_values(values: Mapping[str, Any]) -> str:
    """Plain values as YAML in the form of `dump`, without descriptions."""
    return "\n".join(_lines(values, dict(values))) + "\n"


def dump_given(block: RecipeBlock) -> str:
    """The block as YAML with descriptions, without keys that have their defaults; its `name` is kept."""
    values = block.model_dump(mode="json", exclude_defaults=True)
    if "name" in type(block).model_fields:
        values = {"name": block.model_dump(mode="json")["name"], **values}
    return "\n".join(_lines(block, values)) + "\n"


def digest(recipe: RecipeBlock) -> str:
    """SHA-256 of the recipe with every default, in hexadecimal."""
    text = json.dumps(
        recipe.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


class Change(NamedTuple):
    """A dotted key with different values; None where the key is missing."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """In messages: values as written in a recipe."""
        return f"{self.path}: {_flow(self.old)} -> {_flow(self.new)}"


def difference(old: RecipeBlock | dict[str, Any], new: RecipeBlock | dict[str, Any]) -> list[Change]:
    """The keys whose values differ between two recipes, defaults included; each a block or plain values."""
    return list(_changes(_plain(old), _plain(new), ""))


def _plain(recipe: RecipeBlock | dict[str, Any]) -> dict[str, Any]:
    return recipe.model_dump(mode="json") if isinstance(recipe, RecipeBlock) else recipe


def _changes(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            yield from _changes(old.get(key), new.get(key), f"{path}.{key}".removeprefix("."))
    elif (
        isinstance(old, list | tuple)
        and isinstance(new, list | tuple)
        and len(old) == len(new)
        and _has_blocks(new)
    ):
        for index, entries in enumerate(zip(old, new, strict=True)):
            yield from _changes(*entries, f"{path}.{index}")
    elif old != new:
        yield Change(path, old, new)


def _has_blocks(entries: Sequence[Any]) -> bool:
    return any(isinstance(entry, dict) for entry in entries)


def _lines(block: Any, values: dict[str, Any], indent: str = "") -> Iterator[str]:
    """The lines of a block; `block` has the descriptions, `values` the content."""
    fields = type(block).model_fields if isinstance(block, RecipeBlock) else {}
    for key, value in values.items():
        if value is None and key in fields and mark(type(block), key, "only"):
            continue
        comment = f"  # {fields[key].description}" if key in fields and fields[key].description else ""
        inner = block.get(key) if isinstance(block, dict) else getattr(block, key) if key in fields else None
        name = f"{indent}{_scalar(key)}:"
        if isinstance(value, dict) and value:
            yield name + comment
            yield from _lines(inner, value, indent + "  ")
        elif isinstance(value, list) and _has_blocks(value):
            yield name + comment
            for block_of_entry, entry in zip(inner or value, value, strict=True):
                first, *rest = _lines(block_of_entry, entry, "")
                yield f"{indent}  - {first}"
                yield from (f"{indent}    {line}" for line in rest)
        else:
            yield f"{name} {_flow(value)}{comment}"


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_scalar(key)}: {_flow(inner)}' for key, inner in value.items())}}}"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """One YAML scalar. Text is unquoted only if no reader could take it for anything else."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    reserved = value.lower() in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    if re.fullmatch(r"[A-Za-z_./][\w./+-]*( [\w./+-]+)*|[0-9][\w.+]* [A-Za-z]+", value) and not reserved:
        number = re.fullmatch(r"[-+.0-9]+(e[-+]?[0-9]+)?|\.(inf|nan)", value.lower())
        if not number and value not in (".", "..."):
            return value
    return f'"{"".join(map(_escaped, value))}"'


def _escaped(sign: str) -> str:
    return ESCAPES.get(sign) or (sign if sign.isprintable() else f"\\U{ord(sign):08x}")
