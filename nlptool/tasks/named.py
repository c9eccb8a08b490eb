"""Tasks by name: the block in a task's file. No torch here."""

from typing import Any

from nlptool import registry
from nlptool.errors import RecipeError
from nlptool.recipe import Block, shelf
from nlptool.recipe.source import read


def named(given: Any, kind: type[Block] | None = None) -> Any:
    """The block behind a task's name, e.g. glue/sst2, or behind the path of its file; what is no text stays.

    kind: the block that it must be; None: that of the file's `name`. Raises RecipeError.
    """
    if not isinstance(given, str):
        return given
    try:
        source = read(shelf.find(given, "tasks"))
    except RecipeError as error:
        raise RecipeError(f"task: {error.message}", hint=error.hint) from None
    source.refuse(source.problems)
    name = source.data.get("name")
    known = registry.names("tasks")
    if name not in known:
        raise RecipeError(
            f"{source.name}: name: {name!r} is no kind of task", hint=f"one of {', '.join(known)}"
        )
    if kind is not None and name != (wanted := kind.model_fields["name"].default):
        raise RecipeError(f"{source.name}: a task of kind {name}; one of kind {wanted} is needed here")
    from nlptool.recipe.load import check as checked

    return checked(source, (), kind or registry.config("tasks", name)).recipe
