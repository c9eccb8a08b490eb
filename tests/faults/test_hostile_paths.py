"""Invalid paths, as --out and as input of every command: an immediate one-line error, and no loss."""

import pytest
from hostile import campaign, hostile_world
from hostile_paths import trials
from trials import MOST
from worlds import exported, world_of

QUICK = ("tokenize", "doctor", "fill-mask", "recipes", "embed")


def test_some_hostile_paths_end_in_one_line():
    quick = [trial for trial in trials() if trial.line[0] in QUICK]
    campaign("paths", world_of(exported), quick, 3).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
def test_all_hostile_paths_end_in_one_line():
    campaign("paths", hostile_world(), trials(), MOST).require_right()
