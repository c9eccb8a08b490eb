"""Signals outside of training: a command ends, and removes partial output."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from nlptool.errors import Preempted
from nlptool.launch import importing, raised_signals, send_again

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Ended(BaseException):
    """A signal ended the command. It is no Exception, so that libraries that catch all of these do not swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number  # as in shells

    def __str__(self) -> str:
        return signal.Signals(self.args[0]).name


def heed() -> None:
    """Turn SIGTERM and SIGHUP into `Ended`, SIGINT into KeyboardInterrupt; ignored signals (nohup) stay ignored.

    During an import a signal ends the process at once: modules are incomplete, libraries catch errors of their
    imports, and nothing is written yet.
    """
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    sys.unraisablehook = _ignored


def _ignored(what: "sys.UnraisableHookArgs") -> None:
    """Python's hook for ignored exceptions: sends the signal again, so that it is not lost."""
    if isinstance(what.exc_value, Ended | KeyboardInterrupt):
        send_again(what.exc_value.args[0] if isinstance(what.exc_value, Ended) else signal.SIGINT)
    else:
        sys.__unraisablehook__(what)


def ignore() -> None:
    """Ignore further signals that are handled: the process is about to end anyway."""
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_IGN)


def behind(error: BaseException) -> BaseException | None:
    """The signal behind an unexpected error, such as a failed clean-up after the interruption.

    If C code has replaced the exception, the last signal that was raised.
    """
    before = error.__context__
    while before is not None and not isinstance(before, Ended | Preempted | KeyboardInterrupt):
        before = before.__context__
    before = before or (raised_signals[-1] if raised_signals else None)
    return Ended(signal.SIGINT) if isinstance(before, KeyboardInterrupt) else before


def _end(number: int, frame: FrameType | None) -> NoReturn:
    if importing(frame):
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    raised_signals.append(KeyboardInterrupt() if number == signal.SIGINT else Ended(number))
    raise raised_signals[-1]
