"""What may reach a terminal or a log, and streams that fail without ending a run.

Names, labels, tokens and keys come from files that others made: an escape sequence in one of them would be obeyed, a
bidirectional override would show other words than are there, a new line would forge a message.
"""

import io
import re
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.style import Style
    from rich.text import Text

CONTROL = (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029)
BIDIRECTIONAL = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
HALVES = range(0xD800, 0xE000)
NO_LETTERS = (0xFFFE, 0xFFFF)  # which no XML may hold
SHOWN = dict.fromkeys((*CONTROL, *BIDIRECTIONAL, *HALVES, *NO_LETTERS), "\ufffd")
LONGEST_WORD, LONGEST_LINE = 400, 1_600  # characters of a message; a path has at most 255 between two slashes
LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")
ESCAPED = {sign: f"\\u{sign:04x}" for sign in (*range(127, 160), 0x2028, 0x2029, *BIDIRECTIONAL)}


def clean(text: str) -> str:
    """A text in which nothing is obeyed by a terminal but line ends and tabs: what would be becomes U+FFFD."""
    return text.translate(SHOWN)


def clean_json(text: str) -> str:
    """JSON with the same value, in which control characters and bidirectional overrides are written as escapes."""
    return text.translate(ESCAPED)


def shown(text: str, style: "str | Style" = "") -> "Text":
    """Clean text as rich prints it; the only way from a string to a terminal."""
    from rich.text import Text

    return Text(clean(text), style)


def message(label: str, style: str, text: str) -> "Text":
    """A message behind its label. Further lines are indented, so that none of them looks like a message of its own."""
    from rich.text import Text

    first, *more = _readable(clean(text)).split("\n")
    return Text.assemble(
        (label, style), "\n".join([first, *(f"  {line.removeprefix('  ')}" for line in more)])
    )


def _readable(text: str) -> str:
    """A message in which what it quotes is shortened, whoever quoted it: words, and lines, that nobody would read."""
    lines = (
        LONG_WORD.sub(lambda found: _middle_out(found[0], LONGEST_WORD), line) for line in text.split("\n")
    )
    return "\n".join(line if len(line) <= LONGEST_LINE else _middle_out(line, LONGEST_LINE) for line in lines)


def _middle_out(text: str, most: int) -> str:
    return f"{text[: most // 2]}...{text[-most // 4 :]}"


class Messages(io.TextIOBase):
    """Standard error, of which what cannot be written is dropped: a full disk under a log ends no run."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self.stream.encoding

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """The stream's descriptor."""
        return self.stream.fileno()

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self.stream.write(text)
        except (OSError, ValueError):  # full, gone, or closed
            return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        try:
            self.stream.flush()
        except (OSError, ValueError):
            return


class Results(Messages):
    """Standard output, which a full disk's error names."""

    def write(self, text: str) -> int:
        """Raises OSError with the stream's name in it."""
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from error

    def flush(self) -> None:
        """Raises OSError with the stream's name in it."""
        try:
            self.stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from error
