"""What may be asked of `nlptool generate`: the words of transformers' GenerationConfig. Nothing heavy here."""

from dataclasses import dataclass
from typing import Literal

from nlptool.errors import UsageError
from nlptool.text.input_rows import RowFormat

TEMPERATURE, TOP_P = (
    0.8,
    0.95,
)  # when nothing is asked for: lively, and without the tail in which texts derail
GREEDY = "--temperature 0 takes the most probable token"


@dataclass(frozen=True)
class GenerationOptions:
    """How a text is continued. None: TEMPERATURE and TOP_P, all tokens, no beams."""

    max_new_tokens: int = 100
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    num_beams: int | None = None
    length_penalty: float | None = None
    """Beams are scored by log-probability / tokens^length_penalty; None: 1, as in transformers."""
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    """Continuations of each text."""

    def check(self) -> None:
        """Raise UsageError for options that exclude each other, and for those that would change nothing."""
        sampling = {
            "--temperature": self.temperature,
            "--top-k": self.top_k,
            "--top-p": self.top_p,
            "--seed": self.seed,
        }
        given = [name for name, value in sampling.items() if value is not None]
        if self.num_beams is not None and given:
            raise UsageError(
                f"--num-beams searches for the most probable text and samples nothing: {given[0]} does not go with it",
                hint=f"leave {', '.join(given)} away, or --num-beams",
            )
        if self.num_beams is None and self.length_penalty is not None:
            raise UsageError("--length-penalty would change nothing here", hint="it goes with --num-beams N")
        if self.num_beams is not None and self.n > self.num_beams:
            raise UsageError(f"--n {self.n} of --num-beams {self.num_beams}: a search finds one text a beam")
        if self.greedy and (idle := [name for name in given if name != "--temperature"]):
            raise UsageError(f"{idle[0]} would change nothing here", hint=GREEDY)
        if self.greedy and self.n > 1:
            raise UsageError(f"--n {self.n}: all texts would be alike", hint=f"{GREEDY}; leave it away")
        if not all(self.stop):
            raise UsageError("--stop: a string without a character would stop everything")

    @property
    def greedy(self) -> bool:
        """Whether each token is the most probable one."""
        return self.num_beams is None and self.temperature == 0


@dataclass(frozen=True)
class InputOptions:
    """Where texts come from."""

    text: str | None = None
    """One text; `-`: standard input as a whole."""
    file: str | None = None
    """A file with a text a row, or `-`."""
    column: str = "text"
    format: RowFormat | None = None
    """None: by the file's suffix, else a text a line."""
    """Format of standard input."""
    batch_size: int = 8
    """Texts that are read together."""
    on_error: Literal["stop", "skip"] = "stop"

    def check(self) -> None:
        """Raise UsageError where a text and a file are given."""
        if self.text is not None and self.file is not None:
            raise UsageError(
                "a file and --text: one of them", hint="nlptool generate MODEL FILE, or --text TEXT"
            )
