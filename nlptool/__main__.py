"""`python -m nlptool`, e.g. under torchrun."""

import sys

from nlptool.cli import main

if __name__ == "__main__":
    sys.exit(main())
