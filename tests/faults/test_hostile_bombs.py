"""Compressed files and records that would fill the memory: read in bounded memory, or refused in one line."""

import hostile_bombs
import pytest
from hostile import campaign, hostile_world
from hostile_bombs import trials
from trials import MOST
from worlds import exported, world_of


def test_some_bombs_are_read_in_bounded_memory_or_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hostile_bombs, "SIZE", 2**26)
    quick = [
        trial
        for trial in trials()
        if trial.what == "a record's number bomb.jsonl.gz" and trial.line[0] == "embed"
    ]
    campaign("bombs", world_of(exported), quick).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
def test_all_bombs_are_read_in_bounded_memory_or_refused():
    campaign("bombs", hostile_world(), trials(), MOST or 500).require_right()
