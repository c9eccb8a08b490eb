"""Options of `inspect`, and the recipe or store to show. Nothing heavy is imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptool import folder_kinds
from nlptool.commands.finetune import recipe as finetune
from nlptool.commands.loading import load_checked
from nlptool.commands.pretrain import recipe as pretrain
from nlptool.commands.prompt import recipe as prompt
from nlptool.commands.specs import command_of
from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.recipe import catalog
from nlptool.recipe.extends import read

HIDDEN = ("tokenize", "corpus", "knowledge", "pretrain-transe", "distill-task")
"""Commands whose rows are not shown."""


@dataclass(frozen=True)
class InspectOptions:
    """Which rows to show, and where."""

    subject: "Path | pretrain.Recipe | finetune.Recipe | prompt.Recipe"
    """A token store, or a checked recipe."""
    title: str
    rows: int
    batch: int
    out: Path | None


def subject_of(what: str, changes: Sequence[str], console: Console) -> Any:
    """A token store's folder, or the checked recipe of a file, a name, or a run folder.

    Raises UsageError for a path without rows, RecipeError like the recipe's command.
    """
    folder = Path(what)
    if (folder / "store.json").is_file():
        if changes:
            raise UsageError(f"{changes[0]} has no effect: {what} is a token store, and recipes have keys")
        return folder
    if folder.is_dir() and not (folder / "recipe.yaml").is_file():
        raise UsageError(
            f"{what}: {folder_kinds.describe(folder)}", hint="inspect takes a recipe, a run or a token store"
        )
    path = folder / "recipe.yaml" if folder.is_dir() else catalog.find(what)
    command = command_of(read(path).data)
    if command == "prompt":
        return load_checked(path, changes, prompt.Recipe, lambda it: prompt.check(it, "prompt"), console)
    if command == "finetune":
        return load_checked(
            path, changes, finetune.Recipe, lambda it: finetune.check(it, "finetune"), console
        )
    if command in HIDDEN:
        store = "; its result is a store: nlptool inspect STORE" * (command == "tokenize")
        raise UsageError(
            f"{path}: is a recipe for nlptool {command}, whose rows are not shown",
            hint=f"inspect takes recipes that pretrain, distill, finetune or prompt, and token stores{store}",
        )
    return load_checked(path, changes, pretrain.Recipe, lambda it: pretrain.check(it, it.command), console)
