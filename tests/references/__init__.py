"""Classes to compare families of models with: those of transformers, and where it has none, NAME.py here."""

from importlib import import_module, util
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")


def classes(family: str) -> Any:
    """What has the family's classes by their names."""
    own = f"references.{family}"
    return import_module(own) if util.find_spec(own) else transformers
