"""Optional packages: imported where they are needed, and named in a message with the command that installs them."""

import re
import shlex
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from typing import Any

from nlptool.errors import UsageError

DISTRIBUTION = "nlptool-lm"
"""The name on the package index; the module and the command are called nlptool."""


def install(extra: str) -> str:
    """The pip command that installs the packages of an extra, e.g. pip install 'matplotlib>=3.10'.

    It names the packages, not the extra, so that it is right for a clone and for a wheel alike.
    """
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:  # run from a folder that was never installed
        lines = []
    found = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    wanted = [line.partition(";")[0].strip() for line in lines if found.search(line)]
    return "pip install " + " ".join(map(shlex.quote, wanted or [f"{DISTRIBUTION}[{extra}]"]))


def required(module: str, key: str, extra: str) -> Any:
    """Import a module of an extra. Raises UsageError where it is not installed. key: what needs it in the recipe."""
    try:
        return import_module(module)
    except ImportError:
        raise _missing(module, key, extra) from None


def package_file(package: str, inside: str, key: str, extra: str) -> Path:
    """A file of an installed package, which is not imported. Raises UsageError where it is not installed."""
    try:
        return Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        raise _missing(package, key, extra) from None


def _missing(package: str, key: str, extra: str) -> UsageError:
    return UsageError(f"{key}: needs the package {package}, which is not installed", hint=install(extra))
