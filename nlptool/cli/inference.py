"""Commands that run and evaluate a trained model."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nlptool.cli.app import (
    BatchSize,
    Changes,
    DryRun,
    Json,
    MinimalPairs,
    ModelName,
    OutFolder,
    Overwrite,
    Replace,
    SuiteData,
    SuiteName,
    app,
    carry_out,
    console,
    is_change,
    prepare,
    refuse_flags,
)
from nlptool.cli.training import run_recipe
from nlptool.commands.specs import COMMANDS, INFERENCE
from nlptool.errors import UsageError

if TYPE_CHECKING:
    from nlptool.console import Options

(PROMPT,) = (spec for spec in COMMANDS if spec.name == "prompt")


@app.command("fill-mask", rich_help_panel=INFERENCE)
def fill_mask(
    model: ModelName,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts with [MASK] in them.")],
    number: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Predictions per mask.")] = 5,
    as_json: Json = False,
) -> None:
    """Show the most likely words for each [MASK]."""
    from nlptool.commands import fill_mask as command

    command.run(model, texts, number, as_json=as_json, console=console())


@app.command("evaluate", rich_help_panel=INFERENCE)
def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Hugging Face folders, or hub ids.")
    ],
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="STORE", help="Token store whose held-out split is scored."),
    ] = None,
    max_chars: Annotated[
        int | None,
        typer.Option(
            "--max-chars",
            min=1,
            metavar="N",
            help="Score at most the first N characters of each document (default 4000). A masked model reads a "
            "window once for each of its tokens.",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            "--stride",
            min=1,
            metavar="N",
            help="Windows of long documents begin N tokens after each other, so that each token has context; "
            "else they do not overlap.",
        ),
    ] = None,
    minimal_pairs: MinimalPairs = None,
    pll_metric: Annotated[
        Literal["original", "within_word_l2r"] | None,
        typer.Option(
            "--pll-metric",
            help="How a masked model scores minimal pairs: each token masked by itself (Salazar et al. 2020, the "
            "default), or with what follows it in its word (Kauf and Ivanova 2023).",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, metavar="N", help="Score at most N pairs of each file (default 1000)."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="Score fine-tuned models on labelled rows: a task, or a file of rows.",
        ),
    ] = None,
    splits: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="NAME",
            help="With --task or --graph: the split to score, in place of validation.",
        ),
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(
            "--graph",
            metavar="GRAPH",
            help="Rank a graph's triples by vectors of its entities (pretrain-transe).",
        ),
    ] = None,
    batch_size: BatchSize = None,
    suite: SuiteName = None,
    data: SuiteData = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Also write Markdown and JSON here.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="auto", help="Resume a suite: keep the results that the folder holds."
        ),
    ] = None,
    overwrite: Replace = False,
    as_json: Json = False,
) -> None:
    """Measure bits per byte, perplexity, grammar and fine-tuned tasks of models."""
    from nlptool.commands.evaluate.options import EvaluationOptions, graph_ranking, resolve, task_question
    from nlptool.console import Options
    from nlptool.runs import folder

    _refuse(
        {
            "--max-chars": store is None and max_chars is not None,
            "--stride": store is None and stride is not None,
        },
        "requires held-out text: --store STORE",
    )
    _refuse(
        {
            "--limit": minimal_pairs is None and limit is not None,
            "--pll-metric": minimal_pairs is None and pll_metric is not None,
        },
        "requires minimal pairs: --minimal-pairs FOLDER",
    )
    if graph is not None:
        others = {"--task": task, "--data": data, "--suite": suite, "--store": store, "--resume": resume}
        others["--minimal-pairs"] = minimal_pairs
        _refuse({"--batch-size": batch_size is not None}, "cannot be combined with --graph")
        _refuse(
            {name: value is not None for name, value in others.items()}, "cannot be combined with --graph"
        )
        _refuse({"--overwrite": out is None and overwrite}, "requires a folder: --out FOLDER")
        ranking = graph_ranking(models, graph, splits or ())
        _evaluate((models, ranking, out), out, Options(overwrite=overwrite, json=as_json))
        return
    alone = suite is None and store is None and minimal_pairs is None
    of_task = task is not None or bool(splits) or (alone and data is not None)
    _refuse(
        {"--data": suite is None and not of_task and data is not None},
        "requires tasks: --suite SUITE, or --task TASK",
    )
    _refuse(
        {"--resume": out is None and resume is not None, "--overwrite": out is None and overwrite},
        "requires a folder: --out FOLDER",
    )
    folder.require_auto(resume)
    if of_task:
        others = {"--suite": suite, "--minimal-pairs": minimal_pairs, "--store": store, "--resume": resume}
        _refuse({name: value is not None for name, value in others.items()}, "cannot be combined with --task")
        question = task_question(models, task, data, splits or (), batch_size)
        _evaluate((models, question, out), out, Options(overwrite=overwrite, json=as_json))
        return
    requested = EvaluationOptions(
        store=store,
        max_chars=max_chars or 4000,
        minimal_pairs=minimal_pairs,
        limit=limit or 1000,
        suite=suite,
        data=data,
        stride=stride,
        pll=pll_metric or "original",
        batch_size=batch_size,
    )
    evaluation = resolve(models, requested, out)
    _evaluate(evaluation, out, Options(resume=resume, overwrite=overwrite, json=as_json))


def _evaluate(what: Any, out: Path | None, options: "Options") -> None:
    """Prepare the folder of the results, then evaluate."""
    if out is not None:
        prepare(out, options, holds="evaluate.json")
    carry_out("evaluate", what, options)


@app.command(
    PROMPT.name,
    help=PROMPT.help,
    rich_help_panel=PROMPT.group,
    epilog="E.g. nlptool prompt prompt/grammar models=runs/demo/final data=FOLDER. All keys: nlptool schema prompt. "
    "To continue a text: nlptool generate MODEL --text TEXT.",
    context_settings={"ignore_unknown_options": True},
)
def prompt(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")
    ] = None,
    changes: Changes = None,
    out: OutFolder = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="auto", help="Resume: keep the responses that the output folder holds."
        ),
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    model: Annotated[str | None, typer.Option("--model", hidden=True)] = None,
    text: Annotated[str | None, typer.Option("--text", hidden=True)] = None,
) -> None:
    """Zero-, one- and few-shot evaluation."""
    if model is not None or text is not None:
        raise UsageError(
            "prompt evaluates models on tasks; a text is continued by generate",
            hint=f"nlptool generate {model or 'MODEL'} --text {shlex.quote(text or 'TEXT')}",
        )
    refuse_flags([*([recipe] if recipe else []), *(changes or ())])
    if recipe is None or is_change(recipe):
        raise UsageError(
            "no recipe",
            hint="e.g. nlptool prompt prompt/grammar models=MODEL data=FOLDER; nlptool recipes ls lists them; "
            "a text is continued by nlptool generate MODEL --text TEXT",
        )
    from nlptool.console import Options

    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    run_recipe(PROMPT, recipe, changes or [], options)


def _refuse(useless: Mapping[str, bool], why: str) -> None:
    """Raise UsageError for options that would have no effect."""
    for name, given in useless.items():
        if given:
            raise UsageError(f"{name} has no effect here", hint=f"it {why}")
