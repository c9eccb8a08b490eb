"""Packages that only some blocks need."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from nlptool.errors import UsageError
from nlptool.extras import install


def required(module: str, key: str) -> Any:
    """A module of the extra `corpus`. Raises UsageError where it is not installed. key: what needs it in the recipe."""
    try:
        return import_module(module)
    except ImportError:
        raise UsageError(
            f"{key}: needs the package {module}, which is not installed", hint=install("corpus")
        ) from None


def file_of(package: str, inside: str, key: str) -> Path:
    """A file that a package brings; it is not imported. Raises UsageError where it is not installed."""
    try:
        return Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        raise UsageError(
            f"{key}: needs the package {package}, which is not installed", hint=install("corpus")
        ) from None
