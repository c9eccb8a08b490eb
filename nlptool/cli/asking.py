"""Commands that ask a trained model something."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from nlptool.cli.app import (
    Changes,
    DryRun,
    Json,
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
from nlptool.commands.specs import ASK, COMMANDS
from nlptool.errors import UsageError

(PROMPT,) = (spec for spec in COMMANDS if spec.name == "prompt")

OneRecipe = Annotated[
    str | None, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")
]
PromptOut = Annotated[
    str | None, typer.Option("--out", "-o", metavar="FOLDER", help="Output folder; the recipe's key out.")
]
PromptResume = Annotated[
    str | None,
    typer.Option("--resume", metavar="auto", help="Keep what the output folder holds of answers."),
]
Writer = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="MODEL", help="A decoder that goes on with a text: a folder or a hub id."
    ),
]
Text = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="The text; - for stdin. None on a terminal: each line that is typed is one.",
    ),
]
Tokens = Annotated[
    int | None,
    typer.Option("--tokens", min=1, metavar="N", help="How many at most, 100 if not given."),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature", min=0, metavar="T", help="Of the draws, 0.8 if not given; 0: the likeliest."
    ),
]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=1, metavar="K", help="Draw from the K likeliest tokens only.")
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p",
        min=0,
        max=1,
        metavar="P",
        help="Draw from the likeliest that have P together; 0.95 if not given.",
    ),
]
Width = Annotated[
    int | None, typer.Option("--beams", min=1, metavar="N", help="Search with N beams; GPT-3 had 4.")
]
Stop = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="S", help="End before this string, e.g. '\\n'; may be given again."),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, metavar="N", help="Of the draws, 0 if not given.")]


@app.command("fill-mask", rich_help_panel=ASK)
def fill_mask(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A Hugging Face folder, e.g. a run's final, or a hub id.")
    ],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts with [MASK] in them.")],
    number: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Guesses per mask.")] = 5,
    as_json: Json = False,
) -> None:
    """Show the likeliest words under each [MASK]."""
    from nlptool.commands import fill_mask as command

    command.run(model, texts, number, as_json=as_json, console=console())


@app.command("evaluate", rich_help_panel=ASK)
def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Hugging Face folders, or hub ids.")
    ],
    tokens: Annotated[
        Path | None,
        typer.Option("--tokens", metavar="STORE", help="A token store, whose held-out text is foreseen."),
    ] = None,
    characters: Annotated[
        int | None,
        typer.Option(
            "--characters",
            min=1,
            metavar="N",
            help="Of each document, from its beginning, 4000 if not given. A masked model "
            "reads a window once for each of its tokens.",
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FOLDER", help="Minimal pairs to score: BLiMP's JSON lines."),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("--most", min=1, metavar="N", help="Pairs of each file, 1000 if not given."),
    ] = None,
    suite: SuiteName = None,
    data: SuiteData = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Also write Markdown and JSON here.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="auto", help="Keep what the folder holds of a suite, and go on."),
    ] = None,
    overwrite: Replace = False,
    as_json: Json = False,
) -> None:
    """Measure bits per byte, perplexity, grammar and fine-tuned tasks of models."""
    from nlptool.commands.evaluate.options import EvaluationOptions, resolve
    from nlptool.console import Options
    from nlptool.runs import folder

    _refuse(
        {"--characters": tokens is None and characters is not None}, "goes with held-out text: --tokens STORE"
    )
    _refuse({"--most": pairs is None and most is not None}, "goes with minimal pairs: --pairs FOLDER")
    _refuse({"--data": suite is None and data is not None}, "goes with tasks: --suite SUITE")
    _refuse(
        {"--resume": out is None and resume is not None, "--overwrite": out is None and overwrite},
        "goes with a folder: --out FOLDER",
    )
    folder.require_auto(resume)
    asked = EvaluationOptions(tokens, characters or 4000, pairs, most or 1000, suite, data)
    evaluation = resolve(models, asked, out)
    options = Options(resume=resume, overwrite=overwrite, json=as_json)
    if out is not None:
        prepare(out, options)
    carry_out("evaluate", evaluation, options)


@app.command(
    PROMPT.name,
    help=PROMPT.help,
    rich_help_panel=PROMPT.group,
    epilog="E.g. nlptool prompt prompt/grammar models=runs/demo/final data=FOLDER. All keys: nlptool schema prompt. "
    "Without a recipe a decoder goes on with a text: nlptool prompt --model runs/demo-gpt2/final --text 'The old', "
    "or with each line that is typed.",
    context_settings={"ignore_unknown_options": True},
)
def prompt(
    recipe: OneRecipe = None,
    changes: Changes = None,
    out: PromptOut = None,
    resume: PromptResume = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    model: Writer = None,
    text: Text = None,
    tokens: Tokens = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    beams: Width = None,
    stop: Stop = None,
    seed: Seed = None,
) -> None:
    """Ask models tasks by text, with no, one or a few examples."""
    refuse_flags([*([recipe] if recipe else []), *(changes or ())])
    wished: dict[str, Any] = {
        "tokens": tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "beams": beams,
        "stop": tuple(stop) if stop else None,
        "seed": seed,
    }
    given = {name: value for name, value in wished.items() if value is not None}
    if model is not None or text is not None:
        if model is None:
            raise UsageError("no model that goes on with the text", hint="--model runs/NAME/final")
        if recipe is not None or out or resume or overwrite or dry_run:
            raise UsageError(
                "a text goes on without a recipe and an output folder", hint="only --model and --text"
            )
        from nlptool.commands import generate

        generate.run(model, text, generate.Wish(**given), as_json=as_json, console=console())
        return
    if recipe is None or is_change(recipe):
        raise UsageError(
            "no recipe that says what is asked",
            hint="e.g. nlptool prompt prompt/grammar models=MODEL data=FOLDER; nlptool recipes ls lists them; "
            "or a text to go on with: nlptool prompt --model MODEL --text TEXT",
        )
    _refuse(
        {f"--{name.replace('_', '-')}": True for name in given},
        "goes with a text to go on with: --model MODEL --text TEXT; the recipe's keys are set as KEY=VALUE",
    )
    from nlptool.console import Options

    options = Options(out=out, resume=resume, overwrite=overwrite, dry_run=dry_run, json=as_json)
    run_recipe(PROMPT, recipe, changes or [], options)


def _refuse(useless: Mapping[str, bool], why: str) -> None:
    """Raise UsageError where one of these options would change nothing."""
    for name, given in useless.items():
        if given:
            raise UsageError(f"{name} would change nothing here", hint=f"it {why}")
