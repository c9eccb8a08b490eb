"""Recipes that extend others: `extends: bert/base` inherits every key that is not given."""

from pathlib import Path
from typing import Any

from nlptool.errors import RecipeError
from nlptool.formatting import json_value
from nlptool.recipe import catalog, source
from nlptool.recipe.source import RecipeSource

EXTENDS = "extends"
DESCRIPTION = (
    "another recipe, a shipped one's name or a file's path, whose keys hold where this one gives none; "
    "blocks are merged key by key, lists and other values replaced"
)
DEEPEST = 10


def read(path: Path, room: str = "") -> RecipeSource:
    """Read a recipe file with what it extends. Raises RecipeError.

    room: folder of the shipped recipes in which to look a name up, such as `tasks`.
    """
    return _read(path, room, ())


def _read(path: Path, room: str, above: tuple[Path, ...]) -> RecipeSource:
    found = source.read(path)
    given = found.data.pop(EXTENDS, None)
    if given is None:
        return found
    place = found.places.pop(EXTENDS)
    if not isinstance(given, str):
        raise RecipeError(
            f"{place}: {EXTENDS}: expected one recipe's name or path, found {json_value(given)}"
        )
    chain = (*above, path.resolve())
    beside = path.parent / given
    try:
        base = beside if beside.is_file() else catalog.find(given, room)
    except RecipeError as error:
        raise RecipeError(f"{place}: {EXTENDS}: {error.message}", hint=error.hint) from None
    if base.resolve() in chain:
        raise RecipeError(f"{place}: {EXTENDS}: {given} extends this recipe itself")
    if len(chain) > DEEPEST:
        raise RecipeError(f"{place}: {EXTENDS}: more than {DEEPEST} recipes, each over the next")
    _inherit(found, _read(base, room, chain))
    return found


def _inherit(own: RecipeSource, base: RecipeSource) -> None:
    """Merge a recipe's own keys over those of its base, in place."""
    given = dict(own.places)
    own.data = _merged(own.data, base.data, "", own, base)
    own.problems = [*base.problems, *own.problems]
    for path in own.places.keys() - given.keys():
        own.inherited[path] = base.inherited.get(path, 0) + 1


def _merged(
    own: dict[str, Any], base: dict[str, Any], above: str, into: RecipeSource, of: RecipeSource
) -> Any:
    merged: dict[str, Any] = {}
    for key in [*base, *(key for key in own if key not in base)]:
        path = f"{above}.{key}".removeprefix(".")
        mine, theirs = own.get(key), base.get(key)
        if key not in own:
            merged[key] = theirs
            inside = (known for known in of.places if known == path or known.startswith(f"{path}."))
            into.places |= {known: of.places[known] for known in inside}
        elif isinstance(mine, dict) and isinstance(theirs, dict) and _same_kind(mine, theirs):
            merged[key] = _merged(mine, theirs, path, into, of)
        else:
            merged[key] = mine
    return merged


def _same_kind(mine: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether two blocks are of one kind: a block of another `name` replaces the base's."""
    return mine.get("name", theirs.get("name")) == theirs.get("name")
