"""Resuming a finished run changes no byte and no time of any file."""

from pathlib import Path

import pytest
from trials import ROOT, copy, run
from worlds import KINDS, Kind, world_of

TRIAL = Path(ROOT.name) / "finished"
RESUME = {
    kind.name: kind.readers.get("resume", f"{kind.train} --resume auto")
    for kind in KINDS
    if kind.name != "model"
}


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of every file."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def touched(kind: Kind) -> set[str]:
    """The files of a finished run's folder that are not as they were once it has been resumed again."""
    world, line = copy(world_of(kind.make), TRIAL), RESUME[kind.name].split()
    assert run(line, world).code == 0  # to its end
    before = state(world / kind.target)
    done = run(line, world)
    assert done.code == 0, done
    after = state(world / kind.target)
    return {name for name in {**before, **after} if before.get(name) != after.get(name)}


def test_a_finished_run_is_resumed_without_a_change():
    assert touched(KINDS[0]) == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in RESUME], ids=lambda kind: kind.name)
def test_each_kind_of_run_that_is_finished_is_resumed_without_a_change(kind: Kind):
    assert touched(kind) == set()
