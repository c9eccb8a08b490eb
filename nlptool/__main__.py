"""The process: `nlptool`, and `python -m nlptool`, e.g. under torchrun."""

import os
import signal
import sys


def _reopen_closed() -> None:
    """Open closed standard streams, as of a daemon, on the null device.

    Python sets them to None, and the next opened file would get the descriptor that libraries write to.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf8", closefd=False))  # noqa: SIM115


def main() -> int:
    """Run the command line of the process, and return the exit code.

    Ctrl-C ends it at once while the command line is being imported: Python would show a traceback.
    """
    _reopen_closed()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nlptool.cli import main as carry_out

    return carry_out()


if __name__ == "__main__":
    sys.exit(main())
