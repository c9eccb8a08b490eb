"""A missing package is named by the command that installs it."""

import shlex
from importlib.metadata import requires

import pytest

from nlptool import extras
from nlptool.extras import DISTRIBUTION, install


def test_the_packages_of_an_extra_are_named():
    assert install("report") == "pip install 'matplotlib>=3.10'"
    assert {word.partition(">")[0] for word in shlex.split(install("eval"))[2:]} == {
        "sacrebleu",
        "rouge-score",
    }


def test_every_extra_that_the_code_names_exists():
    import re
    from pathlib import Path

    folder = Path(extras.__file__).parent
    named = {
        name
        for path in folder.rglob("*.py")
        for name in re.findall(r'\binstall\("(\w[\w-]*)"\)', path.read_text())
    }
    there = {
        found[1]
        for line in requires(DISTRIBUTION) or []
        if (found := re.search(r"extra == ['\"]([\w-]+)", line))
    }
    assert named
    assert named <= there


def test_without_metadata_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(extras, "DISTRIBUTION", "no-such-distribution")
    assert install("report") == "pip install 'no-such-distribution[report]'"
