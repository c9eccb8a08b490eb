"""Recipes: YAML and key=value in, a frozen typed value or every problem at once out."""

from nlptool.recipe.block import Block, Budget, Chosen

__all__ = ["Block", "Budget", "Chosen"]
