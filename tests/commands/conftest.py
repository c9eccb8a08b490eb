"""What all commands share."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest


@pytest.fixture(scope="module", autouse=True)
def models_are_timed_by_single_calls() -> Iterator[None]:
    """How steady a clock reading is, is a matter of tests/evaluation/test_latency.py."""
    from nlptool.evaluation import latency

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "SHORTEST", 0.0)
        patch.setattr(latency.measure, "__defaults__", (1,))
        yield


@pytest.fixture(scope="module", autouse=True)
def pictures_are_small() -> Iterator[None]:
    """What is drawn, and how sharp, is a matter of tests/report."""
    with pytest.MonkeyPatch.context() as patch:
        if find_spec("matplotlib"):
            patch.setattr("nlptool.report.drawing.DPI", 40)
        yield
