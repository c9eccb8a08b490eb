"""What pydantic found wrong, in plain words: what was expected, what was found, what was probably meant."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nlptool import registry
from nlptool.recipe.block import Block, Budget, Chosen
from nlptool.recipe.source import Problem

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "null"}
LIMITS = [("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most")]
LENGTHS = [("min_length", "at least"), ("max_length", "at most")]


def explain(error: ValidationError, schema: type[Block], data: dict[str, Any]) -> list[Problem]:
    """The problems behind a failed validation of `data` as `schema`; one for each key."""
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        keys = _keys(detail, data)
        path = ".".join(map(str, keys))
        if path not in problems:
            problems[path] = Problem(path, _message(detail, keys, schema, data))
    return list(problems.values())


def _message(detail: ErrorDetails, keys: list[str | int], schema: type[Block], data: dict[str, Any]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return unknown_key(str(keys[-1]), _type_at(schema, keys[:-1], data)[0], schema, data)
    if kind in ("value_error", "assertion_error"):
        return str(detail["ctx"]["error"])
    annotation, limits = _type_at(schema, keys, data)
    if kind == "missing":
        return f"missing; expected {expected(annotation, limits)}"
    if kind == "expected":
        return f"expected {detail['ctx']['expected']}; found {found(detail['input'])}"
    return mismatch(annotation, limits, detail["input"])


def mismatch(annotation: Any, limits: Sequence[Any], value: Any) -> str:
    """What a key of this type expected, and that it found `value`."""
    choices = [str(choice) for choice in _choices(annotation, limits)]
    if choices and isinstance(value, dict):
        value = value.get("name")
    message = f"expected {expected(annotation, limits)}; found {found(value)}"
    close = get_close_matches(str(value), choices, 1)
    if close:
        return f"{message}; did you mean {close[0]}?"
    if isinstance(value, str) and bool in _members(annotation):
        return f"{message}; write true or false"
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        return f"{message}; drop the quotes"
    return message


def unknown_key(key: str, block: Any, schema: type[Block], data: dict[str, Any]) -> str:
    """Why a key is refused in `block`, and which key or block was probably meant."""
    own = list(block.model_fields) if _is_block(block) else []
    elsewhere: dict[str, list[str]] = {}
    for path, other in _blocks(schema, data):
        if other is not block:
            for name in other.model_fields:
                elsewhere.setdefault(name, []).append(path)
    if key in elsewhere:
        return f"unknown key here; it belongs {_under(elsewhere[key])}"
    if close := get_close_matches(key, own, 1):
        return f"unknown key; did you mean {close[0]}?"
    if close := get_close_matches(key, elsewhere, 1):
        return f"unknown key; did you mean {close[0]} {_under(elsewhere[close[0]])}?"
    return f"unknown key; expected one of {', '.join(own)}" if own else "unknown key"


def expected(annotation: Any, limits: Sequence[Any] = ()) -> str:
    """A type in plain words: `a whole number above 0`, `one of linear, cosine`."""
    choices = _choices(annotation, limits)
    if any(isinstance(limit, Chosen) for limit in limits):
        return f"a block with name: {_one_of(choices)}"
    if choices:
        return _one_of(choices)
    if annotation is Budget:
        return Budget.EXPECTED
    if _is_block(annotation):
        keys = list(annotation.model_fields)
        return f"a block with the keys {', '.join(keys[:6])}{', ...' if len(keys) > 6 else ''}"
    members = _members(annotation)
    if len(members) > 1:
        parts = [expected(member) for member in members]
        if {"a whole number", "a number"} <= set(parts):
            parts.remove("a whole number")
        return " or ".join(parts) + _bounds(limits, LIMITS)
    if members != [annotation]:
        return expected(members[0], limits)
    if get_origin(annotation) is tuple:
        return _list(get_args(annotation)) + _bounds(limits, LENGTHS, " entries")
    if get_origin(annotation) is dict:
        return f"a block of names, each with {expected(get_args(annotation)[1])}"
    text = WORDS.get(annotation, str(annotation))
    return text + (_bounds(limits, LENGTHS, " characters") if annotation is str else _bounds(limits, LIMITS))


def found(value: Any) -> str:
    """A value as a person would write or name it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'the text "{value}"' if len(value) <= 60 else f'the text "{value[:57]}..."'
    if isinstance(value, dict):
        return f"a block ({', '.join(map(str, value))})" if value else "an empty block"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    return f"{value}"


def _keys(detail: ErrorDetails, data: Any) -> list[str | int]:
    """The keys of an error's place, without the names of union members that pydantic puts between them."""
    keys: list[str | int] = []
    *path, last = detail["loc"] or ("",)
    for key in path:
        if _holds(data, key):
            keys.append(key)
            data = data[key]
    if detail["type"] == "missing" or _holds(data, last):
        keys.append(last)
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found") and isinstance(detail["input"], dict):
        keys.append("name")
    return keys


def _type_at(schema: type[Block], keys: Sequence[str | int], data: Any) -> tuple[Any, Sequence[Any]]:
    """The type that the schema gives to a key, and the limits on it."""
    annotation: Any = schema
    limits: Sequence[Any] = ()
    for key in keys:
        chosen = next((limit for limit in limits if isinstance(limit, Chosen)), None)
        if chosen:
            annotation = _chosen_type(chosen, data)
            if not _is_block(annotation):
                return Literal[tuple(chosen.names)], ()  # its name is missing or unknown
        members = _members(annotation)
        block = next((member for member in members if _is_block(member)), None)
        if block is not None and key in block.model_fields:
            field = block.model_fields[key]
            annotation, limits = field.annotation, field.metadata
        else:
            annotation, limits = _entry(members, key)
        if get_origin(annotation) is Annotated:
            annotation, *limits = get_args(annotation)
        data = data[key] if _holds(data, key) else None
    chosen = next((limit for limit in limits if isinstance(limit, Chosen)), None)
    if chosen and _is_block(_chosen_type(chosen, data)):
        return _chosen_type(chosen, data), ()
    return annotation, limits


def _entry(members: Sequence[Any], key: str | int) -> tuple[Any, Sequence[Any]]:
    """The type of an entry of a list or of a block of names."""
    for member in members:
        arguments = get_args(member)
        if get_origin(member) is tuple and isinstance(key, int):
            return (
                arguments[0] if arguments[-1] is Ellipsis else arguments[min(key, len(arguments) - 1)]
            ), ()
        if get_origin(member) is dict:
            return arguments[1], ()
    return Any, ()


def _blocks(schema: type[Block], data: Any, above: str = "") -> Iterator[tuple[str, type[Block]]]:
    """All blocks of a schema with the dotted keys they stand under, a chosen one as `data` chooses it."""
    yield above, schema
    for key, field in schema.model_fields.items():
        path = f"{above}.{key}".removeprefix(".")
        inner = data.get(key) if isinstance(data, dict) else None
        chosen = next((limit for limit in field.metadata if isinstance(limit, Chosen)), None)
        for member in [_chosen_type(chosen, inner)] if chosen else _members(field.annotation):
            entry = get_args(member)[0] if get_origin(member) is tuple else member
            if _is_block(entry):
                yield from _blocks(entry, inner, path)


def _chosen_type(chosen: Chosen, data: Any) -> Any:
    name = data.get("name") if isinstance(data, dict) else None
    return registry.config(chosen.kind, name) if isinstance(name, str) and name in chosen.names else None


def _holds(data: Any, key: str | int) -> bool:
    if isinstance(data, tuple):
        return isinstance(key, int) and key < len(data)
    return isinstance(data, dict) and key in data


def _is_block(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Block)


def _members(annotation: Any) -> list[Any]:
    """The types of a union without null; of another type, itself."""
    if get_origin(annotation) in (Union, UnionType):
        return [member for member in get_args(annotation) if member is not NoneType]
    return [annotation]


def _choices(annotation: Any, limits: Sequence[Any]) -> list[Any]:
    chosen = next((limit for limit in limits if isinstance(limit, Chosen)), None)
    if chosen:
        return list(chosen.names)
    members = _members(annotation)
    return [c for m in members for c in get_args(m)] if all(get_origin(m) is Literal for m in members) else []


def _one_of(choices: Sequence[Any]) -> str:
    return f"one of {', '.join(map(str, choices))}" if len(choices) > 1 else str(choices[0])


def _list(entries: tuple[Any, ...]) -> str:
    if entries[-1] is Ellipsis:
        return f"a list, each entry {expected(entries[0])}"
    return f"a list of {len(entries)}: {', '.join(expected(entry) for entry in entries)}"


def _bounds(limits: Sequence[Any], words: Sequence[tuple[str, str]], unit: str = "") -> str:
    given = [
        f"{word} {getattr(limit, name)}{unit}"
        for name, word in words
        for limit in limits
        if getattr(limit, name, None) is not None
    ]
    of = " of" if given and given[0].startswith("at") else ""
    return f"{of} {' and '.join(given)}" if given else ""


def _under(paths: Sequence[str]) -> str:
    places = [f"under {path}:" if path else "at the top of the recipe" for path in paths]
    return " or ".join(places)
