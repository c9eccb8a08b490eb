"""The text of a recipe as a typed value, or every problem in it."""

from typing import TypeVar

from pydantic import ValidationError

from nlptool.recipe.error_messages import explain
from nlptool.recipe.source import RecipeSource
from nlptool.recipe.types import RecipeBlock

Schema = TypeVar("Schema", bound=RecipeBlock)


def validate(source: RecipeSource, schema: type[Schema]) -> Schema:
    """The recipe that a source holds. Raises RecipeError with every problem at once."""
    try:
        recipe = schema.model_validate(source.data)
    except ValidationError as error:
        known = {problem.path for problem in source.problems}
        source.problems += [p for p in explain(error, schema, source.data) if p.path not in known]
    source.refuse(source.problems)
    return recipe
