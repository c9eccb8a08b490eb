"""All terminal output: results on stdout; messages, progress and errors on stderr.

Colours obey NO_COLOR. This module is independent of training.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO, cast

import rich.console
from rich.cells import cell_len

from nlptool.errors import Reported
from nlptool.formatting import significant
from nlptool.terminal import Messages, Results, clean, clean_json, message, shown

if TYPE_CHECKING:  # drawing code is imported on first use, so that errors appear at once
    from rich.console import RenderableType

    from nlptool.progress import Panel, Progress, Screen


@dataclass(frozen=True)
class Options:
    """Command-line options besides the recipe, common to all commands with one."""

    out: str | None = None
    """The output folder; also in the recipe, as `out`."""
    resume: str | None = None
    """`auto`, or the path of a run folder or checkpoint; None: start afresh."""
    overwrite: bool = False
    dry_run: bool = False
    json: bool = False


class Console:
    """The output of a command. quiet: of messages and progress only errors are shown."""

    def __init__(
        self, stdout: TextIO | None = None, stderr: TextIO | None = None, *, quiet: bool = False
    ) -> None:
        out, err = stdout or sys.stdout, stderr or sys.stderr
        for stream in (out, err):
            if hasattr(stream, "reconfigure"):  # an ASCII log must not stop a run, nor one on a full disk
                with suppress(OSError):
                    stream.reconfigure(errors="backslashreplace")
        wide = None if out.isatty() else 1000
        results, messages = cast(TextIO, Results(out)), cast(TextIO, Messages(err))
        self._out = rich.console.Console(file=results, highlight=False, markup=False, emoji=False, width=wide)
        self._err = rich.console.Console(file=messages, highlight=False, markup=False, emoji=False)
        self._live = err.isatty() and not self._err.is_dumb_terminal
        self._muted, self._quiet = False, quiet
        self.answered = False
        """Whether a result for programs was printed."""

    def mute(self, muted: bool) -> None:
        """Show only errors, e.g. on all ranks but the first."""
        self._muted = muted

    def without_results(self) -> "Console":
        """A console for part of a command: messages and progress are shown, results are not."""
        part = Console(StringIO(), quiet=self._quiet)
        part.mute(self._muted)
        return part

    def error(self, error: Reported) -> None:
        """Show an error and its remedy."""
        self._err.print(message("error: ", "bold red", error.message), soft_wrap=True)
        if error.hint:
            self._err.print(message("hint: ", "bold", error.hint), soft_wrap=True)

    def note(self, text: str) -> None:
        """A message."""
        if not (self._muted or self._quiet):
            self._err.print(message("", "", text), soft_wrap=True)

    def notes(self, texts: Iterable[str]) -> None:
        """Messages, a line each."""
        for text in texts:
            self.note(text)

    def result(self, text: str) -> None:
        """Lines of a result."""
        if not self._muted:
            self._out.print(shown(text), soft_wrap=True)

    def piece(self, text: str) -> None:
        """Print part of a result at once. On a terminal control characters are shown as text."""
        if self._muted:
            return
        self._out.file.write(clean(text) if self._out.is_terminal else text)
        self._out.file.flush()

    def input_line(self, prompt: str) -> str | None:
        """Read a line, with editing and history where Python has readline; None at the end of input."""
        with suppress(ImportError):
            import readline  # noqa: F401
        try:
            return input(prompt)
        except EOFError:
            self.piece("\n")
            return None

    def styled(self, parts: Iterable[tuple[str, str]]) -> None:
        """Print a line of a result with styles such as "bold" for some parts; on a terminal it is wrapped."""
        if self._muted:
            return
        line = shown("")
        for text, style in parts:
            line.append_text(shown(text, style))
        self._out.print(line, soft_wrap=not self._out.is_terminal)

    def json(self, value: Any) -> None:
        """A result for programs."""
        self.answered = True
        self.result(clean_json(json.dumps(value, ensure_ascii=False, indent=2)))

    def json_line(self, value: Any) -> None:
        """Print a row of a result for programs, on a line of its own, at once."""
        self.piece(clean_json(json.dumps(value, ensure_ascii=False)) + "\n")

    def facts(self, title: str, facts: Mapping[str, object]) -> None:
        """A result of named values, one a line."""
        if self._muted:
            return
        from nlptool.text_table import pairs

        self._out.print(shown(title, "bold"))
        self._grid(pairs([(name, _text(value)) for name, value in facts.items()], self._out.width))

    def inline(self, facts: Mapping[str, str]) -> None:
        """Print named values side by side; lines break only between them."""
        lines = [""]
        for name, value in facts.items():
            fact = f"{name}: {value}"
            joined = f"{lines[-1]}   {fact}" if lines[-1] else fact
            if cell_len(joined) <= self._out.width:
                lines[-1] = joined
            else:
                lines.append(fact)
        self.result("\n".join(lines))

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None
    ) -> None:
        """Print a table in the width of the terminal; numbers are right-aligned and never broken."""
        if self._muted:
            return
        from nlptool.text_table import fitted

        cells = [list(row) for row in rows]
        numeric = [
            bool(cells) and all(isinstance(row[index], int | float) for row in cells)
            for index in range(len(columns))
        ]
        texts = [[_text(cell) for cell in row] for row in cells]
        if title:
            self._out.print(shown(title, "bold"))
        self._grid(fitted(columns, texts, numeric, self._out.width))

    def _grid(self, table: "RenderableType") -> None:
        if self._out.is_terminal:
            self._out.print(table)
            return
        with self._out.capture() as capture:
            self._out.print(table)
        lines = capture.get().splitlines()
        self._out.print(shown("\n".join(line.rstrip() for line in lines)), soft_wrap=True)

    def progress(self, label: str, total: float | None, unit: str) -> "Progress":
        """A context in which `advance` moves a bar. unit: `B` for bytes, or a plural such as `documents`."""
        from nlptool.progress import Progress

        return Progress(label, total, unit, self._screen())

    def training(
        self,
        name: str,
        steps: int,
        start: int = 0,
        seconds: float | None = None,
        objective: str | None = None,
    ) -> "Panel":
        """A context that shows a training run.

        start: steps already taken. seconds: its budget of time, in place of steps. objective: its name, by which the
        metric table describes the run's figures.
        """
        from nlptool.progress import Panel

        return Panel(name, steps, start, seconds, self._screen(), objective)

    def _screen(self) -> "Screen":
        from nlptool.progress import Screen

        return Screen(self._err, live=self._live, muted=self._muted or self._quiet)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return significant(value, 4) if isinstance(value, float) else str(value)
