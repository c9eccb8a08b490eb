"""How every command comes to a recipe: read, checked, its problems all told at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from nlptool.console import Console
from nlptool.recipe import Problem, RecipeBlock, load

Schema = TypeVar("Schema", bound=RecipeBlock)


def load_checked(
    path: Path,
    changes: Sequence[str],
    schema: type[Schema],
    check: Callable[[Schema], Sequence[Problem]],
    console: Console,
) -> Schema:
    """The recipe of a file with the changes of the command line. check: the command's rules across blocks.

    Raises RecipeError with every problem at once.
    """
    loaded = load(path, changes, schema)
    console.notes(loaded.source.notes)
    loaded.require(check(loaded.recipe))
    return loaded.recipe
