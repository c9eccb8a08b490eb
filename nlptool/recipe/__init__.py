"""Recipes: YAML and key=value in; a frozen typed value, or every problem at once, out."""

from nlptool.recipe.block import RESUMABLE, Block, Budget, Chosen, only
from nlptool.recipe.load import Change, Loaded, difference, digest, dump, load, loads
from nlptool.recipe.shape import is_resumable
from nlptool.recipe.source import Problem

__all__ = [
    "RESUMABLE",
    "Block",
    "Budget",
    "Change",
    "Chosen",
    "Loaded",
    "Problem",
    "difference",
    "digest",
    "dump",
    "is_resumable",
    "load",
    "loads",
    "only",
]
