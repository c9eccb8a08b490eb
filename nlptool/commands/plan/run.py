"""`nlptool plan RECIPE`: memory, disk and time of a run on this machine."""

from collections.abc import Sequence

from nlptool.commands.finetune import recipe as finetune
from nlptool.commands.loading import load_checked
from nlptool.commands.pretrain import recipe as pretrain
from nlptool.commands.pretrain_transe import recipe as pretrain_transe
from nlptool.commands.specs import command_of
from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.recipe import catalog
from nlptool.recipe.extends import read

NOT_PLANNED = ("corpus", "tokenize", "knowledge", "distill-task", "prompt")


def run(recipe: str, changes: Sequence[str], *, probe: bool, as_json: bool, console: Console) -> None:
    """Check the recipe, compute its needs, and by default time some steps; writes nothing.

    Raises RecipeError and DataError like the recipe's command, UsageError for a recipe without training.
    """
    path = catalog.find(recipe)
    command = command_of(read(path).data)
    if command == "finetune":
        tune = load_checked(path, changes, finetune.Recipe, lambda it: finetune.check(it, command), console)
        from nlptool.commands.finetune.run import rows_aside
        from nlptool.commands.plan import finetune as tuning

        with rows_aside(tune, console) as prepared:
            tuning.show(prepared, tune.seeds, probe=probe, as_json=as_json, console=console)
        return
    if command == "pretrain-transe":
        embed = load_checked(path, changes, pretrain_transe.Recipe, pretrain_transe.check, console)
        from nlptool.commands.plan import transe as embedding
        from nlptool.commands.pretrain_transe.setup import TransESetup

        embedding.show(TransESetup(embed), probe=probe, as_json=as_json, console=console)
        return
    if command in NOT_PLANNED:
        raise UsageError(
            f"{path}: is a recipe for nlptool {command}; plan takes those that pretrain, distill or finetune",
            hint=f"nlptool {command} {recipe} --dry-run shows what it would do",
        )
    loaded = load_checked(path, changes, pretrain.Recipe, lambda it: pretrain.check(it, it.command), console)
    from nlptool.commands.plan import pretrain as planning
    from nlptool.commands.pretrain.setup import PretrainSetup

    setup = PretrainSetup(loaded)
    planning.show(setup, loaded.command, probe=probe, as_json=as_json, console=console)
