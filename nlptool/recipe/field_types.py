"""The type of a key in plain words, and the blocks it may hold, from a schema."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from nlptool.formatting import counted
from nlptool.recipe.types import BlockChoice, Budget, OneOf, RecipeBlock

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
LIMITS = [("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most")]
LENGTHS = [("min_length", "at least"), ("max_length", "at most")]


@dataclass(frozen=True)
class FieldType:
    """The type of a key."""

    members: tuple[Any, ...]
    """The types of a union, without null; for another type, itself."""
    limits: tuple[Any, ...] = ()
    """Constraints of Field and Annotated, e.g. the minimum."""

    @classmethod
    def of(cls, annotation: Any, limits: Sequence[Any] = ()) -> "FieldType":
        """The type of a field's annotation."""
        if get_origin(annotation) is Annotated:
            inner, *more = get_args(annotation)
            within = [
                limit for one in more for limit in (one.metadata if isinstance(one, FieldInfo) else [one])
            ]
            return cls.of(inner, [*limits, *within])
        if get_origin(annotation) in (Union, UnionType):
            members = [member for member in get_args(annotation) if member is not NoneType]
            return cls.of(members[0], limits) if len(members) == 1 else cls(tuple(members), tuple(limits))
        return cls((annotation,), tuple(limits))

    @property
    def chosen(self) -> BlockChoice | None:
        """How the block is chosen by its name, if it is."""
        return next((limit for limit in self.limits if isinstance(limit, BlockChoice)), None)

    @property
    def choices(self) -> list[str]:
        """The possible values, if they are enumerable."""
        if self.chosen:
            return list(self.chosen.names)
        if one_of := next((limit for limit in self.limits if isinstance(limit, OneOf)), None):
            return list(one_of.names)
        literal = all(get_origin(member) is Literal for member in self.members)
        return [str(value) for member in self.members for value in get_args(member)] if literal else []

    def block(self, data: Any) -> type[RecipeBlock] | None:
        """The block of this type, chosen by `data` if necessary."""
        if self.chosen:
            name = data.get("name") if isinstance(data, dict) else None
            known = isinstance(name, str) and name in self.chosen.names
            return self.chosen.block(str(name)) if known else None
        return next((member for member in self.members if _is_block(member)), None)

    def inner(self, key: str | int, data: Any) -> "FieldType | None":
        """The type of a key, or of an entry of a list; None if the schema has none."""
        block = self.block(data)
        if block is not None and key in block.model_fields:
            field = block.model_fields[str(key)]
            return FieldType.of(field.annotation, field.metadata)
        if self.chosen and key == "name":
            return FieldType.of(Literal[tuple(self.chosen.names)])
        for member in self.members:
            arguments = get_args(member)
            if get_origin(member) is tuple and isinstance(key, int):
                each = arguments[-1] is Ellipsis
                return FieldType.of(arguments[0 if each else min(key, len(arguments) - 1)])
            if get_origin(member) is dict:
                return FieldType.of(arguments[1])
        return None

    def __str__(self) -> str:
        """The type in plain words: `a whole number above 0`, `one of linear, cosine`."""
        if self.choices:
            names = ", ".join(self.choices)
            one = f"one of {names}" if len(self.choices) > 1 else names
            return f"a block with name: {one}" if self.chosen else one
        if len(self.members) > 1:
            parts = [str(FieldType.of(member)) for member in self.members]
            if int in self.members and float in self.members:
                parts.remove(WORDS[int])
            return " or ".join(parts) + _bounds(self.limits, LIMITS)
        return self._word(self.members[0])

    def _word(self, member: Any) -> str:
        arguments = get_args(member)
        if member is Budget:
            return Budget.EXPECTED
        if _is_block(member):
            keys = list(member.model_fields)
            return f"a block with the keys {', '.join(keys[:6])}{', ...' if len(keys) > 6 else ''}"
        if get_origin(member) is dict:
            return f"a block of names, each with {FieldType.of(arguments[1])}"
        if get_origin(member) is tuple and arguments[-1] is Ellipsis:
            return (
                f"a list{_bounds(self.limits, LENGTHS, 'entries')}, each entry {FieldType.of(arguments[0])}"
            )
        if get_origin(member) is tuple:
            return f"a list of {len(arguments)}: {', '.join(str(FieldType.of(a)) for a in arguments)}"
        if member is str:
            return WORDS[str] + _bounds(self.limits, LENGTHS, "characters")
        return WORDS.get(member, str(member)) + _bounds(self.limits, LIMITS)


def shape_at(schema: type[RecipeBlock], keys: Sequence[str | int], data: Any) -> FieldType | None:
    """The type of a nested key; None if the schema has none."""
    shape: FieldType | None = FieldType.of(schema)
    for key in keys:
        if shape is None:
            return None
        shape, data = shape.inner(key, data), data[key] if holds(data, key) else None
    return shape


def is_resumable(schema: type[RecipeBlock], keys: Sequence[str | int], data: Any) -> bool:
    """Whether a run may be resumed with another value of a key: it, or a block around it, is marked RESUMABLE."""
    shape: FieldType | None = FieldType.of(schema)
    for key in keys:
        if shape is None:
            return False
        block = shape.block(data)
        if block is not None and key in block.model_fields and mark(block, str(key), "resumable"):
            return True
        shape, data = shape.inner(key, data), data[key] if holds(data, key) else None
    return False


def mark(block: type[RecipeBlock], key: str, name: str) -> Any:
    """The value of a mark on a key's field; None if it is not marked."""
    extra = block.model_fields[key].json_schema_extra
    return extra.get(name) if isinstance(extra, dict) else None


def blocks(schema: type[RecipeBlock], data: Any, above: str = "") -> Iterator[tuple[str, type[RecipeBlock]]]:
    """All blocks of a schema with their dotted keys, chosen by `data` where there is a choice."""
    yield above, schema
    for key, field in schema.model_fields.items():
        path = f"{above}.{key}".removeprefix(".")
        inner = data.get(key) if isinstance(data, dict) else None
        shape = FieldType.of(field.annotation, field.metadata)
        block = shape.block(inner)
        named = [one for one in shape.members if get_origin(one) is dict]
        if named and isinstance(inner, dict):
            entries = ((name, shape.inner(name, inner)) for name in inner)
            for name, one in entries:
                if one is not None and (of_name := one.block(inner[name])) is not None:
                    yield from blocks(of_name, inner[name], f"{path}.{name}")
            continue
        entry = shape.inner(0, inner)
        if block is None and entry is not None:
            block = entry.block(None)
        if block is not None:
            yield from blocks(block, inner, path)


def holds(data: Any, key: str | int) -> bool:
    """Whether `data[key]` exists."""
    if isinstance(data, tuple):
        return isinstance(key, int) and key < len(data)
    return isinstance(data, dict) and key in data


def _is_block(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, RecipeBlock)


MENTIONED_WHEN_EXCEEDED = 10_000  # limits that only a slip exceeds; other messages omit them


def _bounds(limits: Sequence[Any], words: Sequence[tuple[str, str]], unit: str = "") -> str:
    given = [
        f"{word} {counted(bound, unit)}" if unit else f"{word} {bound}"
        for name, word in words
        for limit in limits
        if (bound := getattr(limit, name, None)) is not None and bound < MENTIONED_WHEN_EXCEEDED
    ]
    of = " of" if given and given[0].startswith("at") else ""
    return f"{of} {' and '.join(given)}" if given else ""
