"""All keys of a schema, for completion and help."""

from collections.abc import Iterator
from typing import Any, NamedTuple, get_args, get_origin

from pydantic_core import PydanticUndefined

from nlptool.formatting import json_value
from nlptool.recipe import catalog
from nlptool.recipe.by_name import Named
from nlptool.recipe.field_types import FieldType, mark
from nlptool.recipe.types import Budget, RecipeBlock

ANY = "*"
"""In a path: a name chosen by the recipe's author, or an index of a list."""


class Key(NamedTuple):
    """A dotted key of a recipe."""

    path: str
    """E.g. train.lr, or sources.*.files."""
    type: FieldType
    default: str | None
    """As written in a recipe; None for a required key or a block."""
    description: str
    kind: str
    """The `name` of the block that has this key, if the recipe has not chosen one; else empty."""
    is_block: bool

    @property
    def has_keys(self) -> bool:
        """Whether it is a block itself, not a list of blocks or blocks under names."""
        return self.type.chosen is not None or self.type.block(None) is not None

    def values(self) -> list[str]:
        """Its possible values, if they are enumerable: names, true and false, shipped files."""
        named = next((limit for limit in self.type.limits if isinstance(limit, Named)), None)
        if named is not None:
            return list(catalog.shipped(named.folder))
        if self.is_block:
            return []
        return ["true", "false"] if bool in self.type.members else self.type.choices


def keys(schema: type[RecipeBlock], data: Any = None, command: str = "") -> Iterator[Key]:
    """The keys of a schema in order, blocks before their content.

    data: a recipe that chooses blocks; where it does not, the keys of every kind are included. command: keys of
    other commands alone are left out.
    """
    yield from _keys(schema, data, command, "", "", False)


def _keys(
    block: type[RecipeBlock], data: Any, command: str, above: str, kind: str, chosen: bool
) -> Iterator[Key]:
    for key, field in block.model_fields.items():
        if (mark(block, key, "only") or command) != command or (chosen and key == "name"):
            continue
        path = f"{above}.{key}".removeprefix(".")
        shape = FieldType.of(field.annotation, field.metadata)
        inner = data.get(key) if isinstance(data, dict) else None
        entry = _entry(shape)
        blocks = _blocks(shape, inner) if entry is None else _blocks(entry, None)
        blocks = [one for one in blocks if (one[1].only_command or command) == command]
        given = field.get_default(call_default_factory=True)
        plain = not blocks and given is not PydanticUndefined
        yield Key(
            path, shape, _written(given) if plain else None, field.description or "", kind, bool(blocks)
        )
        if entry is not None and blocks:
            path, shape, inner = f"{path}.{ANY}", entry, None
        if shape.chosen is not None and (names := shape.inner("name", None)) is not None:
            yield Key(f"{path}.name", names, None, "which of them; it decides the other keys", kind, False)
        for name, one in blocks:
            yield from _keys(one, inner, command, path, name or kind, shape.chosen is not None)


def _entry(shape: FieldType) -> FieldType | None:
    """The entry type of a list, or of a block with free names; None for another key."""
    if shape.chosen is not None or shape.block(None) is not None:
        return None
    return next(
        (
            FieldType.of(get_args(member)[0 if get_origin(member) is tuple else 1])
            for member in shape.members
            if get_origin(member) in (tuple, dict)
        ),
        None,
    )


def _blocks(shape: FieldType, data: Any) -> list[tuple[str, type[RecipeBlock]]]:
    """The blocks that a key may hold, each with its kind; several if none is chosen."""
    if (one := shape.block(data)) is not None:
        return [("", one)]
    if shape.chosen is not None:
        return [(name, shape.chosen.block(name)) for name in shape.chosen.names]
    return []


def _written(value: Any) -> str:
    if isinstance(value, RecipeBlock):
        return ""
    return str(value) if isinstance(value, Budget) else json_value(value)
