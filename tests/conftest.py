"""Fixtures that several rooms use."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The sample texts that come with the project."""
    return ROOT / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Development data that lies beside the repository; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("development data not at hand: ../shared/data")
    return folder
