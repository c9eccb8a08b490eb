"""`nlptool plan RECIPE`: what a run would take, of this machine's memory, disk and time."""

from collections.abc import Sequence

from nlptool.commands.finetune import recipe as finetune
from nlptool.commands.loading import load_checked
from nlptool.commands.pretrain import recipe as pretrain
from nlptool.commands.pretrain_transe import recipe as pretrain_transe
from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.recipe import catalog
from nlptool.recipe.source import read

OTHERS = {"tasks": "prompt", "tokenizer": "tokenize", "source": "tokenize"}
GRAPH_KEYS = {"relations", "split", "loops", "labels", "without", "letters_only"}


def run(recipe: str, changes: Sequence[str], *, probe: bool, as_json: bool, console: Console) -> None:
    """Check the recipe, count, and unless told not to take some steps to see how long one is; writes nothing.

    Raises RecipeError, DataError as the command that the recipe belongs to, UsageError for one that trains nothing.
    """
    path = catalog.find(recipe)
    keys = read(path).data
    if "task" in keys and "teacher" not in keys:
        tune = load_checked(
            path, changes, finetune.Recipe, lambda it: finetune.check(it, "finetune"), console
        )
        from nlptool.commands.finetune.run import rows_aside
        from nlptool.commands.plan import finetune as tuning

        with rows_aside(tune, console) as prepared:
            tuning.show(prepared, tune.seeds, probe=probe, as_json=as_json, console=console)
        return
    if "graph" in keys and "task" not in keys and "tokens" not in keys:
        embed = load_checked(path, changes, pretrain_transe.Recipe, pretrain_transe.check, console)
        from nlptool.commands.plan import transe as embedding
        from nlptool.commands.pretrain_transe.setup import TransESetup

        embedding.show(TransESetup(embed), probe=probe, as_json=as_json, console=console)
        return
    other = "distill-task" if "task" in keys else next((OTHERS[key] for key in keys if key in OTHERS), None)
    if other == "tokenize" and keys.keys() & GRAPH_KEYS:
        other = "knowledge"
    if other is not None:
        raise UsageError(
            f"{path}: is a recipe for nlptool {other}; plan takes those that pretrain, distill or finetune",
            hint=f"nlptool {other} {recipe} --dry-run says what it would do",
        )
    loaded = load_checked(path, changes, pretrain.Recipe, lambda it: pretrain.check(it, it.command), console)
    from nlptool.commands.plan import pretrain as planning
    from nlptool.commands.pretrain.setup import PretrainSetup

    setup = PretrainSetup(loaded)
    planning.show(setup, loaded.command, probe=probe, as_json=as_json, console=console)
