"""`nlptool generate MODEL [FILE|-] [--text TEXT]`: continue texts with a decoder.

A text is streamed as it is generated; each row of a file gives a line of JSON, {"text": ..., "continuations":
[...]}. Without either, on a terminal: a session, in which each line is a prompt.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count

from nlptool.commands.generate.options import GenerationOptions, InputOptions
from nlptool.console import Console, Options
from nlptool.errors import DataError, NlptoolError, UsageError
from nlptool.evaluation.generation.beam_search import Beams
from nlptool.evaluation.generation.generate import Generator, strategy
from nlptool.evaluation.generation.sampling import renumbered
from nlptool.formatting import counted
from nlptool.models import hub
from nlptool.runs import machine
from nlptool.text import input_rows
from nlptool.text.row_formats import Rows

QUIT = "/quit"
ESCAPES = {"\\n": "\n", "\\t": "\t"}  # avoids escaping in a shell


def run(request: tuple[str, InputOptions, GenerationOptions], output: Options, console: Console) -> None:
    """Continue a text or the rows of a file, or start a session. request: the model, the texts, the options."""
    model, given, options = request
    if (
        given.text is None
        and given.file is None
        and (output.json or sys.stdin is None or not sys.stdin.isatty())
    ):
        raise UsageError("no text", hint="--text TEXT, a file with a text a row, or - for standard input")
    rows = None
    if given.file is not None:
        rows = input_rows.read(given.file, given.format, default="lines", texts=(given.column,))
    text = _stdin() if given.text == input_rows.STDIN else given.text
    continuation = Continuation(Generator(hub.folder(model), machine.device()), options)
    if rows is not None:
        _rows(continuation, rows, given, console)
    elif text is None:
        _session(continuation, console)
    elif output.json:
        continuation.check(text, console)
        continuations = continuation.of_texts([text], 0)[0]
        console.json({"model": model, "text": text, "continuations": continuations})
    else:
        _show(continuation, text, console)


class Continuation:
    """A decoder with its generation options."""

    def __init__(self, generator: Generator, options: GenerationOptions) -> None:
        self.generator, self.options = generator, options
        self.stop = [_unescaped(written) for written in options.stop]

    def check(self, text: str, console: Console) -> None:
        """Note if the positions leave less room than requested. Raises DataError for half characters."""
        try:
            text.encode()
        except UnicodeEncodeError as error:  # bytes that are not UTF-8 arrive as surrogates
            raise DataError("the text is not UTF-8") from error
        positions = self.generator.model.config.max_positions
        read = max(1, len(self.generator.tokenizer.encode(text)))
        if (room := positions + 1 - read) < self.options.max_new_tokens and room > 0:
            reads = f"the model reads {counted(positions, 'tokens')}, {read:,} of them given"
            console.note(f"room for {room:,} more at most: {reads}")

    def stream(self, text: str) -> Iterator[str]:
        """One continuation, in pieces."""
        choose = strategy(self.options.config)
        pieces = self.generator.stream([text], self.options.max_new_tokens, self.stop, choose)
        return (piece for _, piece in pieces)

    def of_texts(self, texts: Sequence[str], first: int) -> list[list[str]]:
        """The continuations of texts, the first of which is row `first`: samples do not depend on batches."""
        tokens, n, choose = self.options.max_new_tokens, self.options.n, strategy(self.options.config)
        if isinstance(choose, Beams):
            return self.generator.hypotheses(texts, tokens, self.stop, choose, n)
        numbers = range(first * n, (first + len(texts)) * n)
        every = [text for text in texts for _ in range(n)]
        completions = self.generator.complete(every, tokens, self.stop, renumbered(choose, numbers))
        return [completions[at * n : (at + 1) * n] for at in range(len(texts))]


def _rows(continuation: Continuation, rows: Rows, given: InputOptions, console: Console) -> None:
    """A line of JSON for each row, in batches, in the order of the rows."""
    positions = continuation.generator.model.config.max_positions
    batch: list[str] = []
    first = skipped = 0

    def write() -> None:
        for text, continuations in zip(batch, continuation.of_texts(batch, first), strict=True):
            console.json_line({"text": text, "continuations": continuations})

    for row in rows:
        try:
            if isinstance(row, DataError):
                raise row
            text = row.text(given.column)
            if (length := len(continuation.generator.tokenizer.encode(text))) > positions:
                raise DataError(
                    f"{row.place}: the text has {length:,} tokens, the model reads {positions:,}",
                    hint="shorten it, or leave such rows out: --on-error skip",
                )
        except DataError as error:
            if given.on_error == "stop":
                write()
                raise
            console.note(f"left out: {error.message}")
            skipped += 1
            continue
        batch.append(text)
        if len(batch) == given.batch_size:
            write()
            first, batch = first + len(batch), []
    write()
    if not first + len(batch):
        raise DataError(f"{given.file}: no text to continue")
    if skipped:
        console.note(f"{counted(skipped, 'rows')} left out, {first + len(batch):,} continued")


def _show(continuation: Continuation, text: str, console: Console) -> None:
    """Show a continuation as it is generated; several ones when each is complete, with its number."""
    continuation.check(text, console)
    n = continuation.options.n
    if n == 1:
        for piece in continuation.stream(text):
            console.piece(piece)
        console.piece("\n")
        return
    for number, continued in enumerate(continuation.of_texts([text], 0)[0], start=1):
        console.piece(f"--- {number} of {n}\n{continued}\n")


def _session(continuation: Continuation, console: Console) -> None:
    """Read lines and continue them. Each line has its own seed, so the same line may be continued differently."""
    console.note(f"Each line is a text to continue. Ctrl-C stops an answer; {QUIT} or Ctrl-D ends.")
    options = continuation.options
    for turn in count():
        line = _typed(console)
        if line is None:
            return
        now = Continuation(continuation.generator, replace(options, seed=(options.seed or 0) + turn))
        try:
            with suppress(KeyboardInterrupt):  # it ends the answer, not the session
                _show(now, line, console)
                continue
        except NlptoolError as error:
            console.error(error)
            continue
        console.piece("\n")


def _typed(console: Console) -> str | None:
    """The next line that is not blank; None at the end of the session."""
    while True:
        try:
            line = console.input_line("> ")
        except KeyboardInterrupt:
            console.note(f"\n{QUIT} or Ctrl-D ends")
            continue
        if line is None or line.strip() == QUIT:
            return None
        if line.strip():
            return line


def _stdin() -> str:
    """The text on standard input, without the last line break."""
    if sys.stdin is None:
        raise UsageError(
            "standard input is closed", hint="pipe a text into the command, or give it: --text TEXT"
        )
    try:
        return sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input: {error}", hint="it must be UTF-8") from error


def _unescaped(written: str) -> str:
    for escape, sign in ESCAPES.items():
        written = written.replace(escape, sign)
    return written
