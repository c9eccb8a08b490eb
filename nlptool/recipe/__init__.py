"""Recipes: YAML and key=value in; a frozen typed value, or every problem at once, out."""

from nlptool.recipe.by_name import Named, short_name
from nlptool.recipe.field_types import is_resumable
from nlptool.recipe.load import (
    KEPT,
    Change,
    LoadedRecipe,
    difference,
    digest,
    dump,
    dump_given,
    dump_values,
    kept,
    kept_source,
    load,
    loads,
)
from nlptool.recipe.source import Problem, RecipeSource
from nlptool.recipe.types import RESUMABLE, BlockChoice, Budget, OneOf, RecipeBlock, only

__all__ = [
    "KEPT",
    "RESUMABLE",
    "BlockChoice",
    "Budget",
    "Change",
    "LoadedRecipe",
    "Named",
    "OneOf",
    "Problem",
    "RecipeBlock",
    "RecipeSource",
    "difference",
    "digest",
    "dump",
    "dump_given",
    "dump_values",
    "is_resumable",
    "kept",
    "kept_source",
    "load",
    "loads",
    "only",
    "short_name",
]
