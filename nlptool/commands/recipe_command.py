"""Which command carries out a recipe, by its keys. Nothing heavy is imported."""

from collections.abc import Mapping
from typing import Any

from nlptool import registry

BY_KEY = {
    "tasks": "prompt",
    "tokenizer": "tokenize",
    "sources": "corpus",
    "graph": "pretrain-transe",
    "source": "knowledge",
}


def command_of(recipe: Mapping[str, Any]) -> str | None:
    """The command that carries out a recipe with these keys; None where they do not say."""
    if "name" in recipe:  # a file of a task
        return None
    objective = recipe.get("objective")
    if isinstance(objective, Mapping) and "graph" not in recipe:
        name = objective.get("name")
        known = name in registry.names("objectives")
        return registry.config("objectives", str(name)).only_command if known else None
    if "task" in recipe:
        return "distill-task" if "teacher" in recipe else "finetune"
    return next((command for key, command in BY_KEY.items() if key in recipe), None)
