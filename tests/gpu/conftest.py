"""Tests that need a GPU: `make gpu` runs them; elsewhere they are skipped."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(
    0, str(Path(__file__).parents[1] / "objectives")
)  # for tiny.py and the facts of every objective


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no GPU here"))
