"""Live progress: a bar for a task, a panel for a training run.

On a terminal they are live; elsewhere one plain line every few seconds, at growing intervals, as suits a log.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import rich.console
from rich.live import Live
from rich.panel import Panel as Frame
from rich.progress_bar import ProgressBar
from rich.table import Table

from nlptool.formatting import History, duration, quantity, scientific, significant, singular
from nlptool.metric_table import Metric, describe
from nlptool.terminal import shown

EVERY = 5.0  # seconds between plain lines at first, so that the log of a week does not have 100,000 of them
SLOWEST = 60.0
REFRESH = 2  # live frames per second
WIDEST = 96
BAR, GAP, SHORTEST = 20, 2, 16  # columns of the screen: a bar, the space between figures, a truncated label
COURSE: dict[str, Callable[[float], str]] = {  # figures of a run's short form
    "lr": lambda value: f"lr {scientific(value)}",
    "grad_norm": lambda value: f"grad_norm {significant(value)}",
    "tokens_per_second": lambda value: quantity(value, "tokens/s"),
}


class Screen:
    """A display that changes: live on a terminal, else lines at growing intervals."""

    def __init__(self, console: rich.console.Console, *, live: bool, muted: bool) -> None:
        self.console, self.muted = console, muted
        self.live = live and not muted
        self._lock = threading.Lock()
        self._started = self._last = time.monotonic()
        self._display: Live | None = None

    def open(self, frame: Callable[[], rich.console.RenderableType], *, transient: bool) -> None:
        """Begin to show `frame()` on a terminal."""
        if self.live:
            self._display = Live(
                get_renderable=frame,
                console=self.console,
                refresh_per_second=REFRESH,
                transient=transient,
                redirect_stdout=False,
                redirect_stderr=True,  # warnings of libraries go above the display
            )
            self._display.start(refresh=True)

    def close(self) -> None:
        """Restore the terminal."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def line(self, text: Callable[[], str], *, clock: bool = False) -> bool:
        """Print `text()` if there is no live display and the last line is long enough ago; returns whether it was.

        clock: prepend the time.
        """
        with self._lock:
            now = time.monotonic()
            wait = min(SLOWEST, max(EVERY, (now - self._started) / 100))
            if self.live or now - self._last < wait:
                return False
            self._last = now
        (self.log if clock else self.message)(text())
        return True

    def message(self, text: str) -> None:
        """Print a line now."""
        if not self.muted:
            self.console.print(shown(text), soft_wrap=True)

    def log(self, text: str) -> None:
        """Print a line with the current time, if there is no live display."""
        if not self.live:
            self.message(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}")

    @property
    def elapsed(self) -> float:
        """Seconds since creation."""
        return time.monotonic() - self._started


class Progress:
    """Progress of a task: share, rate and time left."""

    def __init__(self, label: str, total: float | None, unit: str, screen: Screen) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self._screen = screen

    def __enter__(self) -> Self:
        self._screen.open(self._frame, transient=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.close()
        if kind is None:
            rate = f", {self._rate()}" if self.done else ""
            self._screen.message(f"{self.label}: {self._amount()} in {duration(self._screen.elapsed)}{rate}")

    def advance(self, amount: float) -> None:
        """Add to the amount done."""
        self.to(self.done + amount)

    def to(self, done: float) -> None:
        """Set the amount done."""
        self.done = done
        self._screen.line(lambda: "  ".join([self.label, *self._figures()]))

    def _figures(self) -> list[str]:
        figures = [f"{min(self.done / self.total, 1):.0%}"] if self.total else []
        figures += [self._amount(), self._rate()]
        if self.total and self.done:
            left = self._screen.elapsed * max(self.total / self.done - 1, 0)
            figures.append(f"eta {duration(left)}")
        return figures

    def _amount(self) -> str:
        done = quantity(self.done, self.unit)
        if not self.total or self.done >= self.total:
            return done
        number, _, unit = done.partition(" ")
        shared = self.unit != "B" and unit in (
            self.unit,
            singular(self.unit),
        )  # in 2 MB the unit has two letters, too
        return f"{number if shared else done} of {quantity(self.total, self.unit)}"

    def _rate(self) -> str:
        rate = self.done / max(self._screen.elapsed, 1e-9)
        return f"{rate:.2g} {self.unit}/s" if rate < 9.95 else f"{quantity(rate, self.unit)}/s"

    def _frame(self) -> rich.console.RenderableType:
        """One line: if it is short, the label gives way to the figures, and the bar to both."""
        figures = [shown(text, "dim") for text in self._figures()]
        label, bar = (
            shown(self.label),
            ProgressBar(self.total or 100, self.done, width=BAR, pulse=not self.total),
        )
        room = self._screen.console.width - sum(GAP + figure.cell_len for figure in figures)
        with_bar = room - GAP - BAR >= min(label.cell_len, SHORTEST)
        label.truncate(max(room - (GAP + BAR if with_bar else 0), SHORTEST), overflow="ellipsis")
        grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        grid.add_row(label, *([bar] if with_bar else []), *figures)
        return grid


class Panel:
    """A training run in progress: losses and their history, held-out figures, speed, time left, checkpoint."""

    def __init__(
        self,
        name: str,
        steps: int,
        start: int,
        seconds: float | None,
        screen: Screen,
        objective: str | None = None,
    ) -> None:
        self._objective = objective
        self.name, self.steps, self.step, self.seconds = name, steps, start, seconds
        self._screen = screen
        self._losses: dict[Metric, History] = {}
        self._heldout: dict[Metric, float] = {}
        self._facts: dict[str, str] = {}
        self._status = "starting"
        self._tokens = 0
        self._saved: tuple[str, float] | None = None
        self._lock = threading.Lock()  # the live display draws from its own thread
        self._times: deque[tuple[float, int]] = deque([(time.monotonic(), start)], maxlen=50)
        self._left: float | None = None
        self._logged = -1  # step of the last line

    def __enter__(self) -> Self:
        self._screen.open(self._frame, transient=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status = "done" if kind is None else "stopped"
        self._screen.close()
        if self._losses and self._logged != self.step:
            self._screen.log(self._line())

    def update(
        self,
        *,
        step: int,
        tokens: int,
        figures: Mapping[str, float],
        flops_per_second: float | None = None,
        memory: float | None = None,
        seconds_left: float | None = None,
    ) -> None:
        """Figures of the last steps.

        tokens: real tokens so far. figures: mean of each loss term, and lr, grad_norm, tokens_per_second. memory:
        bytes in use. seconds_left: for a budget of time; else it follows from the steps.
        """
        with self._lock:
            self.step, self._left, self._status, self._tokens = step, seconds_left, "", tokens
            self._times.append((time.monotonic(), step))
            for name, value in figures.items():
                metric = self._metric(name)
                if metric.kind == "loss":
                    self._losses.setdefault(metric, History()).add(value)
                else:
                    format_fact = COURSE.get(name)
                    self._facts[name] = (
                        format_fact(value) if format_fact else f"{metric.key} {metric.show(value)}"
                    )
            if flops_per_second is not None:
                self._facts["flops"] = quantity(flops_per_second, "FLOP/s")
            if memory is not None:
                self._facts["memory"] = quantity(memory, "B")
        if self._screen.line(self._line, clock=True):
            self._logged = step

    def status(self, text: str) -> None:
        """Show an activity other than steps until the next update: `evaluating`."""
        self._status = text

    def heldout(self, figures: Mapping[str, float]) -> None:
        """Held-out figures at this step."""
        with self._lock:
            self._heldout = {self._metric(name): value for name, value in figures.items()}
            self._status = ""
        values = "  ".join(f"{metric.key} {metric.show(value)}" for metric, value in self._heldout.items())
        self._screen.log(f"step {self.step:,}  held-out  {values}")

    def saved(self, path: Path) -> None:
        """Record that a checkpoint was saved."""
        self._saved, self._status = (path.name, time.monotonic()), ""
        self._screen.log(f"step {self.step:,}  saved {path}")

    def _metric(self, name: str) -> Metric:
        return describe(name, self._objective)

    def _eta(self) -> str:
        (then, first), (now, last) = self._times[0], self._times[-1]
        left = self._left
        if left is None and last > first:
            left = (now - then) / (last - first) * max(self.steps - last, 0)
        return "" if left is None else f"eta {duration(left)}"

    def _line(self) -> str:
        losses = [f"{metric.key} {metric.show(history.last)}" for metric, history in self._losses.items()]
        facts = [fact for name, fact in self._facts.items() if name not in ("flops", "memory")]
        of = f"/{self.steps:,}" if self.seconds is None else ""
        return "  ".join([f"step {self.step:,}{of}", *losses, *facts, self._eta()]).rstrip()

    def _share(self) -> float:
        """Fraction of the run that is done."""
        if self.seconds is None:
            return self.step / max(self.steps, 1)
        return 0.0 if self._left is None else min(1.0, 1 - max(self._left, 0.0) / self.seconds)

    def _frame(self) -> rich.console.RenderableType:
        with self._lock:
            return self._drawn()

    def _drawn(self) -> rich.console.RenderableType:
        width = min(self._screen.console.width, WIDEST)
        head = Table.grid(padding=(0, 2, 0, 0), expand=True)
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True, justify="right")
        share, of = self._share(), f" of {self.steps:,}" if self.seconds is None else ""
        head.add_row(
            shown(f"step {self.step:,}{of}", "bold"),
            ProgressBar(1.0, share),
            shown(f"{share:.0%}  {duration(self._screen.elapsed)}  {self._eta()}".rstrip()),
        )
        body = Table.grid(padding=(0, 2, 0, 0))
        if self._losses:
            body.add_row("", shown("training", "dim"), "", shown("held-out", "dim"))
        drawn = self._screen.console.encoding.startswith("utf")
        metrics = dict.fromkeys([*self._losses, *self._heldout])
        longest = max((len(metric.key) for metric in metrics), default=0)
        spark = max(8, min(36, width - longest - 28)) if drawn else 0
        for metric in metrics:
            history, heldout = self._losses.get(metric), self._heldout.get(metric)
            body.add_row(
                shown(metric.key),
                shown(metric.show(history.last) if history else "", "bold"),
                shown((history.line(spark) if history else "").ljust(spark), "cyan"),
                shown("" if heldout is None else metric.show(heldout), "bold"),
            )
        facts = shown(" · ".join(self._facts.values()), "dim")
        news = [self._status, quantity(self._tokens, "tokens")]
        if self._saved is not None:
            news.append(f"saved {self._saved[0]} {duration(time.monotonic() - self._saved[1])} ago")
        foot = shown(" · ".join(filter(None, news)), "dim")
        rows = Table.grid(expand=True)
        for row in (head, "", body, "", facts, foot):
            rows.add_row(row)
        return Frame(
            rows,
            title=shown(self.name),
            title_align="left",
            border_style="dim",
            width=width,
            padding=(0, 1),
        )
