"""Recipes: YAML and key=value in; a frozen typed value, or every problem at once, out."""

from nlptool.recipe.block import RESUMABLE, Block, Budget, Chosen, only
from nlptool.recipe.load import KEPT, Change, Loaded, difference, digest, dump, kept, kept_source, load, loads
from nlptool.recipe.named import Named
from nlptool.recipe.shape import is_resumable
from nlptool.recipe.source import Problem

__all__ = [
    "KEPT",
    "RESUMABLE",
    "Block",
    "Budget",
    "Change",
    "Chosen",
    "Loaded",
    "Named",
    "Problem",
    "difference",
    "digest",
    "dump",
    "is_resumable",
    "kept",
    "kept_source",
    "load",
    "loads",
    "only",
]
