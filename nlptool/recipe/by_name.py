"""Blocks by name: a key whose value may be the name of a shipped file, or a path, instead of the block itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nlptool.errors import RecipeError
from nlptool.formatting import json_value
from nlptool.recipe import catalog
from nlptool.recipe.error_messages import validate
from nlptool.recipe.extends import read
from nlptool.recipe.field_types import FieldType, holds
from nlptool.recipe.source import RecipeSource
from nlptool.recipe.types import BlockChoice, RecipeBlock


def short_name(given: str) -> str:
    """The name of such a block in tables and folders: its name among the recipes, or that of its file."""
    path = Path(given)
    return path.stem if path.is_file() else given.removesuffix(".yaml")


@dataclass(frozen=True)
class Named:
    """Marks a key whose block may be given by name: `Annotated[Block, TASKS, Named(TASKS, "tasks", "task")]`.

    Its value may be a file of the shipped recipes in `folder`, e.g. glue/sst2, or the path of one. Other values than
    texts are unchanged.
    """

    choice: BlockChoice
    folder: str
    what: str
    """Kind of such files, for messages."""
    only: type[RecipeBlock] | None = None
    """The required block; None: that of the file's `name`."""
    translate: Callable[[RecipeSource], None] | None = None
    """Turns files of other programs into such blocks, in place."""

    def source(self, given: str) -> RecipeSource:
        """The text of the file behind a name. Raises RecipeError where there is none, or it has another block."""
        try:
            source = read(catalog.find(given, self.folder), self.folder)
        except RecipeError as error:
            raise RecipeError(f"task: {error.message}", hint=error.hint) from None
        if self.translate is not None:
            self.translate(source)
        source.refuse(source.problems)
        name, known = source.data.get("name"), self.choice.names
        if name not in known:
            raise self._no_kind(source, name)
        if self.only is not None and name != (wanted := self.only.model_fields["name"].default):
            raise RecipeError(f"{source.name}: a task of kind {name}; one of kind {wanted} is needed here")
        return source

    def _no_kind(self, source: RecipeSource, name: Any) -> RecipeError:
        """The error for a file whose `name` is unknown, or which is a recipe."""
        hint = f"one of {', '.join(self.choice.names)}"
        if name is not None:
            return RecipeError(
                f"{source.name}: name: {json_value(name)} is not a kind of {self.what}", hint=hint
            )
        if key := next((key for key in ("task", "tasks") if key in source.data), None):
            return RecipeError(
                f"{source.name}: is a recipe, not a {self.what}", hint=f"give what its key {key} has"
            )
        return RecipeError(f"{source.name}: name: is missing; it is the kind of {self.what}", hint=hint)

    def block(self, given: Any) -> Any:
        """The block behind a name; other values than texts are unchanged. Raises RecipeError."""
        if not isinstance(given, str):
            return given
        source = self.source(given)
        return validate(source, self.only or self.choice.block(source.data["name"]))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        given = handler.generate_schema(str | dict[str, Any])
        return core_schema.no_info_before_validator_function(
            self.block, handler(source), json_schema_input_schema=given
        )


def spell_out(source: RecipeSource, argument: str, schema: type[RecipeBlock]) -> None:
    """If an argument changes a key within a block given by name, replace the name by the block.

    `task.max_query_length=32` on `task: squad/v1` changes that key alone. Raises RecipeError for an unknown name.
    """
    keys = argument.removeprefix("~").partition("=")[0].split(".")
    shape: FieldType | None = FieldType.of(schema)
    holder: Any = source.data
    for depth, key in enumerate(keys[:-1], start=1):
        shape = shape.inner(key, holder) if shape is not None else None
        if shape is None or not isinstance(holder, dict) or not holds(holder, key):
            return
        mark = next((limit for limit in shape.limits if isinstance(limit, Named)), None)
        if mark is not None and isinstance(holder[key], str):
            named, path = mark.source(holder[key]), ".".join(keys[:depth])
            holder[key] = named.data
            source.places |= {f"{path}.{inner}": place for inner, place in named.places.items()}
        holder = holder[key]
