"""Safe text for terminals and logs, and streams whose failure does not end a run.

Names, labels, tokens and keys come from untrusted files: a terminal would obey an escape sequence in them, a
bidirectional override would show other words, a line break would forge a message.
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
NO_LETTERS = (0xFFFE, 0xFFFF)  # not allowed in XML
SHOWN = dict.fromkeys((*CONTROL, *BIDIRECTIONAL, *HALVES, *NO_LETTERS), "\ufffd")
LONGEST_WORD, LONGEST_LINE = 400, 1_600  # characters of a message; a path has at most 255 between two slashes
LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")
ESCAPED = {sign: f"\\u{sign:04x}" for sign in (*range(127, 160), 0x2028, 0x2029, *BIDIRECTIONAL)}


def clean(text: str) -> str:
    """A text in which a terminal obeys only line ends and tabs; other control characters become U+FFFD."""
    return text.translate(SHOWN)


def clean_json(text: str) -> str:
    """JSON with the same value, with escapes for control characters and bidirectional overrides."""
    return text.translate(ESCAPED)


def shown(text: str, style: "str | Style" = "") -> "Text":
    """Clean text for rich; every string reaches a terminal this way."""
    from rich.text import Text

    return Text(clean(text), style)


def message(label: str, style: str, text: str) -> "Text":
    """A message after its label. Further lines are indented, so that they do not look like messages of their own."""
    from rich.text import Text

    first, *more = _readable(clean(text)).split("\n")
    return Text.assemble(
        (label, style), "\n".join([first, *(f"  {line.removeprefix('  ')}" for line in more)])
    )


def _readable(text: str) -> str:
    """A message with long quoted words and lines shortened."""
    lines = (
        LONG_WORD.sub(lambda found: _middle_out(found[0], LONGEST_WORD), line) for line in text.split("\n")
    )
    return "\n".join(line if len(line) <= LONGEST_LINE else _middle_out(line, LONGEST_LINE) for line in lines)


def _middle_out(text: str, most: int) -> str:
    return f"{text[: most // 2]}...{text[-most // 4 :]}"


class Messages(io.TextIOBase):
    """Standard error, where failed writes are ignored: a full disk under a log does not end a run."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream."""
        return self.stream.encoding

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Descriptor of the stream."""
        return self.stream.fileno()

    def write(self, text: str) -> int:
        """Write as far as possible."""
        try:
            return self.stream.write(text)
        except (OSError, ValueError):  # full, gone, or closed
            return len(text)

    def flush(self) -> None:
        """Flush as far as possible."""
        try:
            self.stream.flush()
        except (OSError, ValueError):
            return


class Results(Messages):
    """Standard output, named in the error of a full disk."""

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
