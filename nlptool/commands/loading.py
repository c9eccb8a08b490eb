"""Loading and checking of recipes, for all commands."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from nlptool.commands.specs import COMMANDS, command_of
from nlptool.console import Console
from nlptool.errors import RecipeError
from nlptool.recipe import Problem, RecipeBlock, load
from nlptool.recipe.extends import read

Schema = TypeVar("Schema", bound=RecipeBlock)


def load_checked(
    path: Path,
    changes: Sequence[str],
    schema: type[Schema],
    check: Callable[[Schema], Sequence[Problem]],
    console: Console,
) -> Schema:
    """Load the recipe of a file with the changes of the command line. check: the command's rules across blocks.

    Raises RecipeError with every problem at once.
    """
    try:
        loaded = load(path, changes, schema)
    except RecipeError as error:
        error.hint = error.hint or _whose(path, schema)
        raise
    console.notes(loaded.source.notes)
    loaded.require(check(loaded.recipe))
    return loaded.recipe


def _whose(path: Path, schema: type[RecipeBlock]) -> str | None:
    """The command of a recipe that was given to another one."""
    try:
        name = command_of(read(path).data)
    except RecipeError:  # its keys cannot be read
        return None
    spec = next((spec for spec in COMMANDS if spec.name == name), None)
    if spec is None or import_module(f"nlptool.commands.{spec.module}.recipe").Recipe is schema:
        return None
    return f"by its keys it is a recipe of nlptool {name}"
