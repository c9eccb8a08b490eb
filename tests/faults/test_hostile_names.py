"""Hostile names: no effect on the terminal, and none as markup of a page or table."""

import pytest
from hostile import campaign, hostile_world
from hostile_names import trials
from trials import MOST
from worlds import exported, world_of

QUICK = ("doctor", "fill-mask", "tokenize", "pretrain-mlm", "help")


def test_some_hostile_names_are_shown_as_what_they_are():
    quick = [trial for trial in trials() if trial.line[0] in QUICK and not trial.then]
    campaign("names", world_of(exported), quick, 3).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
def test_all_hostile_names_are_shown_as_what_they_are():
    campaign("names", hostile_world(), trials(), MOST).require_right()
