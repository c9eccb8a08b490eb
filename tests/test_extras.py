"""A missing package is named by the command that installs it."""

import re
import shlex
from importlib.metadata import requires
from pathlib import Path

import pytest

from nlptool import extras
from nlptool.extras import DISTRIBUTION, install

FOLDER = Path(extras.__file__).parent
SOURCES = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*.py")}


def test_the_packages_of_an_extra_are_named():
    assert install("report") == "pip install 'matplotlib>=3.10'"
    assert {word.partition(">")[0] for word in shlex.split(install("eval"))[2:]} == {
        "sacrebleu",
        "rouge-score",
    }


def test_every_extra_that_the_code_names_exists():
    named = {
        name for text in SOURCES.values() for name in re.findall(r"""\binstall\(["'](\w[\w-]*)["']\)""", text)
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
