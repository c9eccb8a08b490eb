"""Commands that read the user's texts: generate, embed."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nlptool.cli.app import BatchSize, Json, ModelName, OnError, Replace, app, carry_out
from nlptool.commands.specs import INFERENCE

InputFile = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE|-",
        help="JSON lines, CSV, TSV or Parquet by its suffix, else a text a line; - is standard input.",
    ),
]
Column = Annotated[
    str, typer.Option("--column", metavar="NAME", help="The column of the file that holds the text.")
]
Format = Annotated[
    Literal["lines", "jsonl", "csv", "tsv", "parquet"] | None,
    typer.Option("--format", help="Format of the file; by its suffix if not given, else a text a line."),
]


@app.command(
    "generate",
    rich_help_panel=INFERENCE,
    epilog="E.g. nlptool generate runs/demo-gpt2/final --text 'The old'; nlptool generate MODEL prompts.txt > out.jsonl"
    ". Without a text, on a terminal, each line that is typed is one. Options mean what they mean in transformers.",
)
def generate(
    model: ModelName,
    file: InputFile = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="TEXT", help="One text; - for standard input as a whole."),
    ] = None,
    column: Column = "text",
    format_: Format = None,
    on_error: OnError = "stop",
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, metavar="N", help="Texts generated in one batch.")
    ] = 8,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, metavar="N", help="At most N tokens per continuation.")
    ] = 100,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            min=0,
            metavar="T",
            help="Divides the logits, 0.8 if not given; 0: greedy.",
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", min=1, metavar="K", help="Sample from the K most probable tokens only."),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            min=0,
            max=1,
            metavar="P",
            help="Sample from the most probable tokens whose probabilities sum to P; 0.95 if not given.",
        ),
    ] = None,
    num_beams: Annotated[
        int | None,
        typer.Option(
            "--num-beams", min=1, metavar="N", help="Beam search with N beams in place of sampling."
        ),
    ] = None,
    length_penalty: Annotated[
        float | None,
        typer.Option(
            "--length-penalty",
            metavar="A",
            help="Beams are scored by log-probability / tokens^A; 1 if not given.",
        ),
    ] = None,
    repetition_penalty: Annotated[
        float,
        typer.Option(
            "--repetition-penalty",
            min=0.01,
            metavar="P",
            help="Above 1, tokens that have occurred become less likely (CTRL).",
        ),
    ] = 1.0,
    no_repeat_ngram_size: Annotated[
        int,
        typer.Option(
            "--no-repeat-ngram-size", min=0, metavar="N", help="No n-gram of N tokens occurs twice."
        ),
    ] = 0,
    stop: Annotated[
        list[str] | None,
        typer.Option("--stop", metavar="S", help="End before this string, e.g. '\\n'; may be given again."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, metavar="N", help="Sampling seed, 0 if not given.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, metavar="N", help="Continuations of each text.")] = 1,
    as_json: Json = False,
) -> None:
    """Continue texts with a decoder."""
    from nlptool.commands.generate.options import GenerationOptions, InputOptions
    from nlptool.console import Options

    given = InputOptions(text, file, column, format_, batch_size, on_error)
    options = GenerationOptions(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        num_beams=num_beams,
        length_penalty=length_penalty,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        stop=tuple(stop or ()),
        seed=seed,
        n=n,
    )
    given.check()
    options.check()
    carry_out("generate", (model, given, options), Options(json=as_json))


@app.command(
    "embed",
    rich_help_panel=INFERENCE,
    epilog="E.g. nlptool embed runs/demo/final texts.jsonl --column body --out vectors.parquet; --layers -4,-3,-2,-1 "
    "is the mean of the last four, which BERT's section 5.3 found best after their concatenation.",
)
def embed(
    model: ModelName,
    file: InputFile = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="One text in place of a file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help=".parquet with text and vector, or .npy."),
    ] = None,
    pooling: Annotated[
        Literal["cls", "mean", "last"] | None,
        typer.Option(
            "--pooling",
            help="[CLS], the mean of all tokens, or the last token; mean for encoders, last for decoders.",
        ),
    ] = None,
    layers: Annotated[
        str,
        typer.Option(
            "--layers",
            metavar="N,...",
            help="Layers whose mean is taken, as hidden_states of transformers: 0 embeddings, -1 the last.",
        ),
    ] = "-1",
    batch_size: BatchSize = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Scale each vector to length 1.")] = False,
    column: Column = "text",
    format_: Format = None,
    on_error: OnError = "stop",
    overwrite: Replace = False,
    as_json: Json = False,
) -> None:
    """Write text embeddings: pooled hidden states of an encoder or decoder."""
    from nlptool.commands.embed.options import EmbedOptions, layer_numbers
    from nlptool.console import Options
    from nlptool.runs import output_file

    numbers, skip = layer_numbers(layers), on_error == "skip"
    options = EmbedOptions(
        text=text,
        file=file,
        out=out,
        pooling=pooling,
        layers=numbers,
        normalize=normalize,
        column=column,
        format=format_,
        skip=skip,
        batch_size=batch_size,
    )
    options.check()
    if out is not None:
        output_file.prepare_output_file(
            out, overwrite=overwrite, reads=[model, *([] if file is None else [file])]
        )
    carry_out("embed", (model, options), Options(json=as_json))
