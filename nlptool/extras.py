"""How a missing optional package is named in a message: by the command that installs it."""

import re
import shlex
from importlib.metadata import PackageNotFoundError, requires

DISTRIBUTION = "nlptool-lm"
"""The name on the package index; the module and the command are called nlptool."""


def install(extra: str) -> str:
    """The pip command that installs what an extra needs, e.g. pip install 'matplotlib>=3.10'.

    The packages are named, not the extra: the command is right for a clone and for a wheel alike.
    """
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:  # run from a folder that was never installed
        lines = []
    found = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    wanted = [line.partition(";")[0].strip() for line in lines if found.search(line)]
    return "pip install " + " ".join(map(shlex.quote, wanted or [f"{DISTRIBUTION}[{extra}]"]))
