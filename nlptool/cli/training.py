"""Commands that carry out recipes, and those that compare and plan them."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from nlptool.cli.app import (
    DATA,
    RANKED,
    TRAIN,
    Changes,
    DryRun,
    Json,
    Overwrite,
    SuiteData,
    SuiteName,
    app,
    console,
    is_change,
    refuse_flags,
    work_alone,
)

if TYPE_CHECKING:
    from nlptool.console import Options


class Row(NamedTuple):
    """A command that carries out a recipe."""

    name: str
    module: str
    """In nlptool.commands: Recipe, check(recipe, name) -> problems, run(recipe, options, console)."""
    group: str
    help: str


COMMANDS = (
    Row("tokenize", "tokenize", DATA, "Read text, train or load a tokenizer, write a token store."),
    Row("pretrain-mlm", "pretrain", TRAIN, "Pretrain BERT as a masked language model."),
    Row("pretrain-sop", "pretrain", TRAIN, "Pretrain ALBERT with sentence order."),
    Row("pretrain-electra", "pretrain", TRAIN, "Pretrain ELECTRA to detect replaced tokens."),
    Row("pretrain-clm", "pretrain", TRAIN, "Pretrain GPT-2 as a causal language model."),
    Row("distill", "pretrain", TRAIN, "Teach a small language model by a larger one."),
    Row("finetune", "finetune", TRAIN, "Fine-tune a pretrained net on a labelled task."),
    Row("distill-task", "distill_task", TRAIN, "Teach a small net a labelled task, by a fine-tuned one."),
)


def _recipe_command(row: Row) -> Callable[..., None]:
    def command(
        recipe: Annotated[
            str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")
        ],
        changes: Changes = None,
        out: Annotated[
            str | None,
            typer.Option("--out", "-o", metavar="FOLDER", help="Output folder; the recipe's key out."),
        ] = None,
        resume: Annotated[
            str | None,
            typer.Option(
                "--resume",
                metavar="auto|PATH",
                help="Go on with what the output folder holds, if anything, or with a run or checkpoint.",
            ),
        ] = None,
        overwrite: Overwrite = False,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        refuse_flags([recipe, *(changes or ())])
        from nlptool.console import Options

        options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
        run_recipe(row, recipe, changes or [], options)

    return command


def run_recipe(row: Row, recipe: str, changes: list[str], options: "Options") -> None:
    """Read and check the recipe, then hand it to the command."""
    from nlptool.recipe import catalog, load

    if options.dry_run:
        work_alone("--dry-run")
    command = import_module(f"nlptool.commands.{row.module}.recipe")
    path = catalog.find(recipe)
    folder = [] if options.out is None else [f"out={json.dumps(options.out)}"]
    loaded = load(path, [*changes, *folder], command.Recipe)
    console().notes(loaded.source.notes)
    loaded.require(command.check(loaded.recipe, row.name))
    command.run(loaded.recipe, options, console())


for row in COMMANDS:
    if row.group == TRAIN:
        RANKED.add(row.name)
    app.command(
        row.name,
        help=row.help,
        rich_help_panel=row.group,
        epilog=f"All keys: nlptool schema {row.name}. Examples: nlptool recipes ls.",
        context_settings={"ignore_unknown_options": True},
    )(_recipe_command(row))


@app.command(
    "compare",
    rich_help_panel=TRAIN,
    epilog="E.g. nlptool compare recipes/compare/*.yaml tokens=runs/tokens train.budget='2e14 flops'",
    context_settings={"ignore_unknown_options": True},
)
def compare(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE... [KEY=VALUE | ~KEY]...", help="Pretraining recipes; changes to all."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where to; runs/compare when not given."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FOLDER", help="Minimal pairs to score: BLiMP's JSON lines."),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, metavar="N", help="Pairs of each file.")] = 100,
    suite: SuiteName = None,
    data: SuiteData = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="auto", help="Go on with what the output folder holds, if anything."
        ),
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train several recipes on the same tokens and budget, and compare them."""
    refuse_flags(arguments)
    recipes = [a for a in arguments if not is_change(a)]
    if dry_run:
        work_alone("--dry-run")
    from nlptool.commands.compare import options as command
    from nlptool.console import Options

    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    probes = command.EvaluationOptions(pairs, most, suite, data)
    command.run(recipes, [a for a in arguments if is_change(a)], probes, options, console())


@app.command(
    "plan",
    rich_help_panel=TRAIN,
    epilog="E.g. nlptool plan demo/gpt2 train.batch=64",
    context_settings={"ignore_unknown_options": True},
)
def plan(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")
    ],
    changes: Changes = None,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Take no steps to see how long one is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a run would take here: memory, disk and time."""
    refuse_flags([recipe, *(changes or ())])
    from nlptool.commands.plan import run

    run.run(recipe, changes or [], probe=not no_probe, as_json=as_json, console=console())
