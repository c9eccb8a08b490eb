"""`nlptool prompt --model MODEL [--text TEXT]`: how a decoder goes on with a text, as it goes on.

Without a text, on a terminal: a session, in which each line is a text of its own.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nlptool.console import Console
from nlptool.errors import DataError, NlptoolError, UsageError
from nlptool.formatting import counted
from nlptool.models import hub

if TYPE_CHECKING:
    from nlptool.evaluation.generation.beam_search import Beams
    from nlptool.evaluation.generation.generate import Generator
    from nlptool.evaluation.generation.sampling import Sampling

TEMPERATURE, TOP_P = (
    0.8,
    0.95,
)  # when nothing is asked for: lively, and without the tail in which texts derail
QUIT = "/quit"


@dataclass(frozen=True)
class Wish:
    """How a text is to go on; None: as TEMPERATURE and TOP_P say, from all tokens, without a search."""

    tokens: int = 100
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    beams: int | None = None
    stop: tuple[str, ...] = ()
    seed: int = 0


def run(model: str, text: str | None, wish: Wish, *, as_json: bool, console: Console) -> None:
    """Stream how the text goes on; `-`: the text on stdin; None: hold a session."""
    _check(wish)
    if text is None and (as_json or not sys.stdin.isatty()):
        raise UsageError("no text", hint="--text TEXT, or --text - for what comes on stdin")
    folder = hub.folder(model)
    if text == "-":
        text = _stdin()
    from nlptool.evaluation.generation.generate import Generator
    from nlptool.runs import machine

    generator = Generator(folder, machine.device())
    if text is None:
        _session(generator, wish, console)
        return
    pieces = _answer(generator, text, wish, console)
    if as_json:
        console.json({"model": model, "text": text, "continuation": "".join(pieces)})
        return
    for piece in pieces:
        console.piece(piece)
    console.piece("\n")


def _check(wish: Wish) -> None:
    if wish.beams is not None and not (wish.temperature is wish.top_k is wish.top_p is None):
        raise UsageError(
            "--beams searches for the likeliest text and draws nothing",
            hint="leave --temperature, --top-k and --top-p away",
        )
    if not all(wish.stop):
        raise UsageError("--stop: a string without a character would stop everything")


def _stdin() -> str:
    """The text on stdin, without the line break that ends every file."""
    try:
        return sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"stdin: {error}", hint="it must be UTF-8") from error


def _answer(generator: "Generator", text: str, wish: Wish, console: Console) -> Iterator[str]:
    """The continuation, piece by piece; says so where the model's positions leave less room than is asked for."""
    try:
        text.encode()
    except UnicodeEncodeError as error:  # bytes that are no UTF-8 come in as surrogates
        raise DataError("the text is not UTF-8") from error
    positions = generator.net.config.positions
    read = max(1, len(generator.tokenizer.encode(text)))
    if (room := positions + 1 - read) < wish.tokens and room > 0:
        console.note(
            f"room for {room:,} more at most: the model reads {counted(positions, 'tokens')}, {read:,} of them given"
        )
    stop = [written.replace("\\n", "\n").replace("\\t", "\t") for written in wish.stop]
    return (piece for _, piece in generator.stream([text], wish.tokens, stop, _choose(wish)))


def _choose(wish: Wish) -> "Sampling | Beams":
    from nlptool.evaluation.generation.beam_search import Beams
    from nlptool.evaluation.generation.sampling import Sampling

    if wish.beams is not None:
        return Beams(wish.beams)
    temperature = TEMPERATURE if wish.temperature is None else wish.temperature
    top_p = TOP_P if wish.top_p is None else wish.top_p
    return Sampling(temperature, wish.top_k or 0, top_p, seed=wish.seed)


def _session(generator: "Generator", wish: Wish, console: Console) -> None:
    """A line in, a stream out. Each line draws by a seed of its own, so the same line may go on otherwise."""
    console.note(f"A line is a text to go on with. Ctrl-C stops an answer; {QUIT} or Ctrl-D ends.")
    turn = 0
    while True:
        try:
            line = console.ask("> ")
        except KeyboardInterrupt:
            console.note(f"\n{QUIT} or Ctrl-D ends")
            continue
        if line is None or line.strip() == QUIT:
            return
        if not line.strip():
            continue
        try:
            with suppress(KeyboardInterrupt):  # which ends the answer, not the session
                for piece in _answer(generator, line, replace(wish, seed=wish.seed + turn), console):
                    console.piece(piece)
        except NlptoolError as error:
            console.error(error)
            continue
        console.piece("\n")
        turn += 1
