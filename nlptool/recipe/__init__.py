"""Recipes: YAML and key=value in; a frozen typed value, or every problem at once, out."""

from nlptool.recipe.block import Block, Budget, Chosen
from nlptool.recipe.load import Change, Loaded, difference, digest, dump, load, loads
from nlptool.recipe.source import Problem

__all__ = [
    "Block",
    "Budget",
    "Change",
    "Chosen",
    "Loaded",
    "Problem",
    "difference",
    "digest",
    "dump",
    "load",
    "loads",
]
