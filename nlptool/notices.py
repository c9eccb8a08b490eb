"""What the core has to tell its user, though it prints nothing: the command line shows it, Python warns.

Each text is told once.
"""

import warnings
from collections.abc import Callable

Speaker = Callable[[str], object]


def warn(text: str) -> None:
    """As Python tells what is no error."""
    warnings.warn(text, stacklevel=3)


_speakers: list[Speaker] = [warn]
_shown: set[str] = set()


def speak_by(speaker: Speaker) -> None:
    """Let texts be told by `speaker` from now on, as if none had been told before."""
    _speakers[:] = [speaker]
    _shown.clear()


def notify(text: str) -> None:
    """Say something to the user."""
    if text not in _shown:
        _shown.add(text)
        _speakers[-1](text)
