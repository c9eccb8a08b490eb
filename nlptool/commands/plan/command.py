"""`nlptool plan RECIPE`: what a pretraining run would take, of this machine's memory, disk and time."""

from collections.abc import Sequence

from nlptool.commands.pretrain import command as pretrain
from nlptool.console import Console
from nlptool.recipe import load, shelf


def run(recipe: str, changes: Sequence[str], *, probe: bool, as_json: bool, console: Console) -> None:
    """Check the recipe, count, and unless told not to take some steps to see how long one is; writes nothing.

    Raises RecipeError, DataError as the command that the recipe belongs to.
    """
    loaded = load(shelf.find(recipe), changes, pretrain.Recipe)
    command = loaded.recipe.command
    loaded.require(pretrain.check(loaded.recipe, command))
    from nlptool.commands.plan import planning

    planning.run(loaded.recipe, command, probe=probe, as_json=as_json, console=console)
