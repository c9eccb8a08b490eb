"""The list of commands with a recipe, and the lookup of a recipe's command. Light: `nlptool --help` reads it.

An objective without a command here has the command pretrain-NAME, so adding one edits no list.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nlptool import registry

DATA, TRAIN, INFERENCE = "From text to tokens", "Training", "Inference and evaluation"
RUNS, LOOK = "Runs and machines", "Recipes and help"
HEADINGS = (DATA, TRAIN, INFERENCE, RUNS, LOOK)


class CommandSpec(NamedTuple):
    """A command with a recipe."""

    name: str
    module: str
    """In nlptool.commands: `recipe` has Recipe and check(recipe, name) -> problems, `run` has run and dry_run."""
    group: str
    """Its heading in `nlptool --help`."""
    help: str
    resumes_only_its_folder: bool = False
    """Whether --resume accepts only `auto`, not another run or checkpoint."""


LISTED = (
    CommandSpec("corpus", "corpus", DATA, "Filter and deduplicate text to pretrain on.", True),
    CommandSpec("tokenize", "tokenize", DATA, "Read text, train or load a tokenizer, write a token store."),
    CommandSpec("knowledge", "knowledge", DATA, "Read triples, write a knowledge graph."),
    CommandSpec("pretrain-mlm", "pretrain", TRAIN, "Pretrain BERT as a masked language model."),
    CommandSpec("pretrain-sop", "pretrain", TRAIN, "Pretrain ALBERT with sentence order."),
    CommandSpec("pretrain-electra", "pretrain", TRAIN, "Pretrain ELECTRA to detect replaced tokens."),
    CommandSpec("pretrain-ernie", "pretrain", TRAIN, "Pretrain ERNIE on text linked to a knowledge graph."),
    CommandSpec("pretrain-clm", "pretrain", TRAIN, "Pretrain GPT-2 as a causal language model."),
    CommandSpec(
        "pretrain-transe", "pretrain_transe", TRAIN, "Train embeddings of a knowledge graph by TransE."
    ),
    CommandSpec("distill", "pretrain", TRAIN, "Distil a language model into a smaller one."),
    CommandSpec("finetune", "finetune", TRAIN, "Fine-tune a pretrained model on a labelled task.", True),
    CommandSpec("distill-task", "distill_task", TRAIN, "Distil a fine-tuned model into a smaller one.", True),
    CommandSpec("prompt", "prompt", INFERENCE, "Zero-, one- and few-shot evaluation.", True),
)


def _further() -> Iterator[CommandSpec]:
    """The commands of objectives that are not listed."""
    listed = {spec.name for spec in LISTED}
    for name in registry.names("objectives"):
        if listed.isdisjoint((name, f"pretrain-{name}")):
            yield CommandSpec(f"pretrain-{name}", "pretrain", TRAIN, f"Pretrain with the objective {name}.")


COMMANDS = (*LISTED, *_further())
RANKED = {"compare", *(spec.name for spec in COMMANDS if spec.group == TRAIN)}
"""Commands that use several ranks; for others rank 0 works alone."""
BY_KEY = {
    "tasks": "prompt",
    "tokenizer": "tokenize",
    "sources": "corpus",
    "graph": "pretrain-transe",
    "source": "knowledge",
}
"""Keys of one command alone, which identify its recipes."""


def command_of(recipe: Mapping[str, Any]) -> str | None:
    """The command of a recipe with these keys; None if they do not determine it."""
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
