"""Messages of the core to the user: shown by the command line, warnings in Python.

Each text is shown once.
"""

import warnings
from collections.abc import Callable

Speaker = Callable[[str], object]


def warn(text: str) -> None:
    """Show a text as a Python warning."""
    warnings.warn(text, stacklevel=3)


_speakers: list[Speaker] = [warn]
_shown: set[str] = set()


def speak_by(speaker: Speaker) -> None:
    """Let `speaker` show texts from now on, including those shown before."""
    _speakers[:] = [speaker]
    _shown.clear()


def notify(text: str) -> None:
    """Show a text to the user."""
    if text not in _shown:
        _shown.add(text)
        _speakers[-1](text)
