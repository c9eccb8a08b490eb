"""Options of `nlptool generate`, named as in transformers' GenerationConfig. Nothing heavy here."""

from dataclasses import dataclass
from typing import Literal

from nlptool.errors import UsageError
from nlptool.evaluation.generation.keys import GenerationConfig, conflict
from nlptool.text.input_rows import RowFormat

TEMPERATURE, TOP_P = 0.8, 0.95  # defaults: varied texts, without the tail of improbable tokens
GREEDY = "--temperature 0 takes the most probable token"


@dataclass(frozen=True)
class GenerationOptions:
    """Settings of generation. None: TEMPERATURE and TOP_P, all tokens, no beams."""

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
        """Raise UsageError for options that exclude each other, and for those without effect."""
        given = {key: getattr(self, key) for key in GenerationConfig._fields}
        if wrong := conflict(given, lambda key: f"--{key.replace('_', '-')}"):
            raise UsageError(wrong[0], hint=wrong[1])
        if self.num_beams is not None and self.n > self.num_beams:
            raise UsageError(f"--n {self.n} of --num-beams {self.num_beams}: a search finds one text a beam")
        if self.greedy and self.n > 1:
            raise UsageError(f"--n {self.n}: all texts would be alike", hint=f"{GREEDY}; leave it away")

    @property
    def config(self) -> GenerationConfig:
        """The settings with defaults filled in."""
        given = {key: getattr(self, key) for key in GenerationConfig._fields}
        given["seed"] = self.seed or 0
        if self.num_beams is None:
            given["temperature"] = TEMPERATURE if self.temperature is None else self.temperature
            given["top_p"] = TOP_P if self.top_p is None else self.top_p
        else:
            given["length_penalty"] = 1.0 if self.length_penalty is None else self.length_penalty
        return GenerationConfig(**given)

    @property
    def greedy(self) -> bool:
        """Whether decoding is greedy."""
        return self.num_beams is None and self.temperature == 0


@dataclass(frozen=True)
class InputOptions:
    """Source of the texts."""

    text: str | None = None
    """One text; `-`: standard input as a whole."""
    file: str | None = None
    """A file with a text a row, or `-`."""
    column: str = "text"
    format: RowFormat | None = None
    """None: by the file's suffix, else a text a line."""
    batch_size: int = 8
    """Texts of a batch."""
    on_error: Literal["stop", "skip"] = "stop"

    def check(self) -> None:
        """Raise UsageError where both a text and a file are given."""
        if self.text is not None and self.file is not None:
            raise UsageError(
                "a file and --text: one of them", hint="nlptool generate MODEL FILE, or --text TEXT"
            )
