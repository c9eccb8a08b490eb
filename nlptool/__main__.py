"""The process: `nlptool`, and `python -m nlptool`, e.g. under torchrun."""

import signal
import sys


def main() -> int:
    """Carry out the command line of the process; returns the exit code.

    Ctrl-C ends it at once while the command line is imported: Python would show a traceback of the imports.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nlptool.cli import main as carry_out

    return carry_out()


if __name__ == "__main__":
    sys.exit(main())
