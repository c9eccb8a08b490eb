"""The process: `nlptool`, and `python -m nlptool`, e.g. under torchrun."""

import os
import signal
import sys


def _reopen_closed() -> None:
    """Open what is closed of stdin, stdout and stderr, as a daemon may have them, on nothing.

    Python has None for each, and the next file that is opened would get its number, to which libraries write.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(
                os.devnull, os.O_RDWR
            )  # the lowest number that is free, so none below this one is closed
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf8", closefd=False))  # noqa: SIM115


def main() -> int:
    """Carry out the command line of the process; returns the exit code.

    Ctrl-C ends it at once while the command line is imported: Python would show a traceback of the imports.
    """
    _reopen_closed()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nlptool.cli import main as carry_out

    return carry_out()


if __name__ == "__main__":
    sys.exit(main())
