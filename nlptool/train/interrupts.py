"""Signals that ask a run to stop, honoured at any moment.

A run's whole state is its weights, its optimiser and a step number; everything else is recomputed from
them. So a single process may stop between any two Python instructions (while compiling, evaluating, in the
middle of a backward pass), except while those three change: such stretches are shielded. Several ranks must
stop after the same step, or they would wait for each other for ever; they only take note of the signal and
agree at the next step.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nlptool.errors import Preempted

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, name))


class Interrupts:
    """Turns SIGTERM, SIGUSR1 and Ctrl-C into `Preempted`.

    alone: raise at once (outside shielded stretches); otherwise only set `arrived`.
    """

    def __init__(self, alone: bool) -> None:
        self.alone = alone
        self.arrived = False
        self.name = ""
        self._shields = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        self._previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        self.arrived = True
        self._check()

    def _check(self) -> None:
        if self.arrived and self.alone and self._shields == 0:
            self.alone = False  # raised once: what follows is the saving, which must not be stopped
            raise Preempted(f"stopped by {self.name}")

    @contextmanager
    def shield(self) -> Iterator[None]:
        """A stretch that must not be cut in two; a signal that arrives inside is honoured at its end."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self._check()
