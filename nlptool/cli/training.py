"""Commands that run recipes, and those that compare and plan them."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlptool.cli.app import (
    Changes,
    DryRun,
    Json,
    MinimalPairs,
    OutFolder,
    Overwrite,
    RecipeName,
    SuiteData,
    SuiteName,
    app,
    carry_out,
    console,
    is_change,
    prepare,
    refuse_flags,
    work_alone,
)
from nlptool.commands.specs import COMMANDS, TRAIN, CommandSpec

if TYPE_CHECKING:
    from nlptool.console import Options


def _recipe_command(spec: CommandSpec) -> Callable[..., None]:
    def command(
        recipe: RecipeName,
        changes: Changes = None,
        out: OutFolder = None,
        resume: Annotated[
            str | None,
            typer.Option(
                "--resume",
                metavar="auto|PATH",
                help="Resume from the output folder (auto), or from a run or checkpoint.",
            ),
        ] = None,
        overwrite: Overwrite = False,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        refuse_flags([recipe, *(changes or ())])
        from nlptool.console import Options

        options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
        run_recipe(spec, recipe, changes or [], options)

    return command


def run_recipe(spec: CommandSpec, recipe: str, changes: list[str], options: "Options") -> None:
    """Load and check the recipe, prepare its folder, then run it, or with --dry-run show what it would take."""
    loaded = loaded_recipe(spec, recipe, changes, options)
    prepare(Path(loaded.out), options, loaded)
    carry_out(spec.module, loaded, options)


def loaded_recipe(spec: CommandSpec, recipe: str, changes: list[str], options: "Options") -> Any:
    """The checked recipe of a command, of its module's type."""
    from nlptool.commands.loading import load_checked
    from nlptool.recipe import catalog

    if options.dry_run:
        work_alone("--dry-run")
    light = import_module(f"nlptool.commands.{spec.module}.recipe")
    given = changes if options.out is None else [*changes, f"out={json.dumps(options.out)}"]
    loaded = load_checked(
        catalog.find(recipe), given, light.Recipe, lambda recipe: light.check(recipe, spec.name), console()
    )
    if spec.resumes_only_its_folder:
        from nlptool.runs import folder

        folder.require_auto(options.resume)
    return loaded


for spec in COMMANDS:
    if spec.name not in ("prompt", "corpus"):  # which have options of their own
        app.command(
            spec.name,
            help=spec.help,
            rich_help_panel=spec.group,
            epilog=f"All keys: nlptool schema {spec.name}. Examples: nlptool recipes ls.",
            context_settings={"ignore_unknown_options": True},
        )(_recipe_command(spec))


@app.command(
    "compare",
    rich_help_panel=TRAIN,
    epilog="E.g. nlptool compare recipes/compare/*.yaml store=runs/tokens train.budget='2e14 flops'; "
    "nlptool compare demo/albert --vary model.share=none,attention,ffn,all --seeds 3",
    context_settings={"ignore_unknown_options": True},
)
def compare(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE... [KEY=VALUE | ~KEY]...", help="Pretraining recipes; changes to all."
        ),
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="KEY=V1,V2",
            help="One run per value of a key of one recipe; given again: per combination.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            metavar="N",
            help="N runs each, with the seeds 0 to N-1; means with 95 % intervals.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Output folder (default runs/compare)."),
    ] = None,
    minimal_pairs: MinimalPairs = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="Score at most N pairs of each file.")
    ] = 100,
    suite: SuiteName = None,
    data: SuiteData = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="auto", help="Resume from the output folder."),
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train several recipes on the same tokens and budget, and compare them."""
    refuse_flags(arguments, "compare")
    recipes = [a for a in arguments if not is_change(a)]
    if dry_run:
        work_alone("--dry-run")
    from nlptool.commands.compare.options import RESULT, EvaluationOptions, Sweep, resolve
    from nlptool.console import Options
    from nlptool.runs import folder

    folder.require_auto(resume)
    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    evaluation = EvaluationOptions(minimal_pairs, limit, suite, data)
    changes = [a for a in arguments if is_change(a)]
    varied = Sweep(tuple(vary or ()), seeds)
    comparison = resolve(recipes, changes, evaluation, Path(out or "runs/compare"), console(), varied)
    prepare(comparison.out, options, holds=RESULT)
    carry_out("compare", comparison, options)


@app.command(
    "reproduce",
    rich_help_panel=TRAIN,
    epilog="E.g. nlptool reproduce ls; nlptool reproduce kagnet --seeds 5",
    context_settings={"ignore_unknown_options": True},
)
def reproduce(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="An experiment's name or file; ls lists the shipped ones."),
    ],
    changes: Changes = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Runs per arm, with the seeds 0 to N-1.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Output folder (default runs/reproduce/NAME)."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="auto", help="Resume from the output folder; finished runs are kept."
        ),
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Test a claim of a paper at small scale: runs with several seeds, intervals, a verdict."""
    refuse_flags([name, *(changes or ())])
    from nlptool.commands.reproduce import experiment
    from nlptool.console import Options
    from nlptool.runs import folder

    if name == "ls":
        experiment.ls(console(), as_json=as_json)
        return
    folder.require_auto(resume)
    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    given = [*(changes or ()), *([] if seeds is None else [f"seeds={seeds}"])]
    title = Path(name).stem
    plan = experiment.plan(
        experiment.open_experiment(name, given), title, Path(out or f"runs/reproduce/{title}")
    )
    prepare(plan.out, options, holds=experiment.KEPT)
    carry_out("reproduce", plan, options)


@app.command(
    "plan",
    rich_help_panel=TRAIN,
    epilog="E.g. nlptool plan demo/gpt2 train.batch_size=64",
    context_settings={"ignore_unknown_options": True},
)
def plan(
    recipe: RecipeName,
    changes: Changes = None,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Skip the timed steps; no time is estimated.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Estimate memory, disk and time of a run on this machine."""
    refuse_flags([recipe, *(changes or ())])
    from nlptool.commands.plan import run as command

    command.run(recipe, changes or [], probe=not no_probe, as_json=as_json, console=console())
