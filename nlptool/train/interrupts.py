"""Signals that stop a run, handled at any moment.

A run's whole state is its weights, its optimiser and a step number; everything else is recomputed from
them. So a single process may stop between any two Python instructions (while compiling, evaluating, in the
middle of a backward pass), except while those three change: such stretches are shielded. Several ranks must
stop after the same step, or they would wait for each other for ever; they only take note of the signal and
agree at the next step. A launcher that dies, by whatever signal, counts as one: its ranks would train on unseen.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nlptool.errors import Preempted
from nlptool.launch import importing, raised_signals, send_again

NAMES = ("SIGTERM", "SIGUSR1", "SIGHUP", "SIGINT")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
LOOK = 1.0  # seconds between checks of the launcher


class SignalHandler:
    """Turns SIGTERM, SIGUSR1, SIGHUP and Ctrl-C into `Preempted`; ignored signals (nohup) stay ignored.

    In a thread other than the main one, signal handlers are unchanged.

    alone: raise at once (outside shielded stretches and imports); otherwise only set `arrived`, also when the
    process that started this one has ended.
    """

    def __init__(self, alone: bool) -> None:
        self.alone = alone
        self.arrived = False
        self.name = ""
        self.raised: Preempted | None = None
        """The exception that a signal raised; C code may have replaced it by one of its own."""
        self._shields = 0
        self._previous: dict[int, Any] = {}
        self._hook = sys.unraisablehook
        self._ended = threading.Event()

    def __enter__(self) -> "SignalHandler":
        here = threading.current_thread() is threading.main_thread()  # no other may set handlers
        handled = [number for number in SIGNALS if here and signal.getsignal(number) is not signal.SIG_IGN]
        self._previous = {number: signal.signal(number, self._receive) for number in handled}
        self._hook, sys.unraisablehook = sys.unraisablehook, self._ignored
        if not self.alone:
            threading.Thread(target=self._watch, args=(os.getppid(),), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        sys.unraisablehook = self._hook
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _watch(self, launcher: int) -> None:
        """Set `arrived` when the launcher is gone: this process then has another parent."""
        while not self._ended.wait(LOOK):
            if os.getppid() != launcher:
                self.name, self.arrived = "the end of its launcher", True
                return

    def _ignored(self, what: "sys.UnraisableHookArgs") -> None:
        """Python's hook for ignored exceptions, as within `__del__`: sends the signal again, so that it is not lost."""
        if isinstance(what.exc_value, Preempted):
            self.alone = True
            send_again(signal.Signals[self.name])
        else:
            self._hook(what)

    def behind(self, error: BaseException) -> Preempted:
        """The signal behind an error, also where C code has replaced it. Raises any other error again."""
        found = error if isinstance(error, Preempted) else self.raised
        if found is None:
            raise error
        return found

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        self.arrived = True
        if not importing(frame):  # code that catches all errors of an import would swallow it
            self._check()

    def _check(self) -> None:
        if self.arrived and self.alone and self._shields == 0:
            self.alone = False  # raised once: a checkpoint is saved next, which must not be stopped
            self.raised = Preempted(f"stopped by {self.name}")
            raised_signals.append(self.raised)
            raise self.raised

    @contextmanager
    def shield(self) -> Iterator[None]:
        """A stretch that must not be interrupted; a signal that arrives inside is handled at its end."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self._check()
