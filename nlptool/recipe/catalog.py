"""The shipped recipes, and lookup of a recipe by path or name."""

import os
import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from nlptool.atomic_files import read_text
from nlptool.errors import RecipeError
from nlptool.formatting import brief
from nlptool.recipe import renamed


def folder() -> Path:
    """The folder of the recipes: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped(room: str = "") -> dict[str, Path]:
    """Recipes by name, e.g. `bert/base`; room: those in a folder, by their names in it."""
    inside = folder() / room
    found = {path.relative_to(inside).with_suffix("").as_posix(): path for path in inside.rglob("*.yaml")}
    return dict(sorted(found.items()))


@cache
def commands() -> dict[str, str]:
    """The shipped recipes with the command in their header; parsing their keys would take a second."""
    found = {}
    for name, path in shipped().items():
        header = re.search(rf"nlptool ([\w-]+) {re.escape(name)}(?![\w/-])", read_text(path))
        if header is not None:
            found[name] = header[1]
    return found


def find(argument: str, room: str = "") -> Path:
    """The file of a path or of the name of a shipped recipe.

    room: folder of the recipes in which to look the name up, such as `tasks`. Raises RecipeError with the closest
    names.
    """
    path, recipes = Path(argument), shipped(room)
    if os.path.exists(path) and not path.is_dir():  # unlike Path.exists, it accepts a name that is too long
        return path
    name = argument.removesuffix(".yaml").removeprefix("recipes/").removeprefix(f"{room}/")
    if name in recipes:
        return recipes[name]
    if os.path.isdir(path):
        inside = ", ".join(str(p) for p in sorted(path.glob("*.yaml"))[:5])
        raise RecipeError(
            f"{argument}: a folder; a recipe is a file", hint=f"e.g. {inside}" if inside else None
        )
    if (now := renamed.recipe(name)) in recipes:
        raise RecipeError(f"{argument} is now {now}")
    near = [str(p) for p in path.parent.glob("*.yaml")] if os.path.isdir(path.parent) else []
    close = get_close_matches(argument, near, 2) + get_close_matches(name, recipes, 2)
    hint = (
        f"one of {', '.join(recipes)}; or the path of a file"
        if room
        else "nlptool recipes ls lists the shipped ones"
    )
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    raise RecipeError(f"{brief(argument, 100)}: no such {room.removesuffix('s') or 'recipe'}", hint=hint)
