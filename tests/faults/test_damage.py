"""Every file of every kind of folder, damaged in every way, under every command that reads it.

Right is a result as from the whole folder, or a documented exit code with one line of error, and nothing else lost.
"""

import hashlib
import os
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from trials import MOST, ROOT, Done, Table, contents, copy, outcome, run, sample, told_wrong, unequal
from worlds import KINDS, Kind, world_of


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) * 2 // 3] ^= 0x10
    path.write_bytes(data)


def _instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


WAYS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "cut": lambda path: os.truncate(path, path.stat().st_size * 3 // 5),
    "flipped": _flip,
    "encoding": lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes()),
    "folder": _instead(lambda path: path.mkdir()),
    "dangling": _instead(lambda path: path.symlink_to("nowhere")),
    "loop": _instead(lambda path: path.symlink_to(path.name)),
    "fifo": _instead(os.mkfifo),
    "deleted": lambda path: path.unlink(),
}
INSTEAD = ("folder", "dangling", "loop", "fifo", "deleted")
"""Ways that leave no file to read."""
TEXT = (".json", ".jsonl", ".yaml", ".txt", ".md", ".tsv", ".svg", ".html")
"""Files that a person may edit: a letter changed in one of them may be meant, and is read as it is."""
CACHED = re.compile(r"probes\.json$|seed-\d+/scores\.json$|(^|/)teacher(/|\.)|(^|/)rows/")
"""What a command has computed and takes up again: where it is made anew, the user is told."""
UNWRITTEN = re.compile(r"\.known$")
"""Sums of which zeros mean that there is nothing yet."""
APPENDED = ("command.txt", "metrics.jsonl", "run.json", "recipe.yaml", "environment.json")
"""Files that a resumed run writes before it can find what is wrong."""
GROUPS = 3  # of kinds, which several workers may try
TRIAL, WHOLE = Path(ROOT.name) / "trial", Path(ROOT.name) / "whole"


def lost(before: dict[str, str], cwd: Path, damaged: str) -> str | None:
    """What else a command that failed has changed."""
    now = contents(cwd)
    changed = [
        name
        for name, sha in before.items()
        if name != damaged and now.get(name) != sha and Path(name).name not in APPENDED
    ]
    missing = [name for name in before if name != damaged and name not in now]
    return f"lost {', '.join((missing or changed)[:3])}" if missing or changed else None


def digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def judged(
    done: Done,
    before: dict[str, str],
    file: str,
    left: str | None,
    line: str,
    whole: Callable[[], dict[str, Any]],
) -> str | None:
    """What is wrong with a command's end.

    left: digest of the damaged file before it. whole: what the command makes of an undamaged folder.
    """
    if (why := told_wrong(done)) is not None:
        return why
    zeros = bytes((TRIAL / file).stat().st_size) if (TRIAL / file).is_file() else b""  # no link that loops
    blank = UNWRITTEN.search(file) and left == hashlib.sha256(zeros).hexdigest()
    if done.code == 0 and left not in (None, before[file]) and not blank:
        if line.startswith("doctor") and not file.endswith(TEXT):
            return "doctor finds nothing"
        anew = (
            CACHED.search(file) and digest(TRIAL / file) not in (None, left) and "made anew" not in done.err
        )
        if anew and whole()["files"].get(file) == before[file]:  # which the command leaves as it is, else
            return f"exit 0, made anew without a word: {done.err[-300:]}"
    if done.code:
        return lost(before, TRIAL, file)
    if "skipped" in done.err:  # an older checkpoint, and the user knows
        return None
    try:
        found = outcome(done, TRIAL)
    except (ValueError, KeyError, OSError) as error:
        return None if file.endswith(TEXT) else f"exit 0, and left {error!r}"
    if file.endswith(TEXT):
        return None
    right = whole()
    if found["bits"].get(file) == left:  # as it was: the command has nothing to do with it
        found["bits"] |= {name: sha for name, sha in right["bits"].items() if name == file}
    if left is None and file not in found["bits"]:
        right = right | {"bits": {name: sha for name, sha in right["bits"].items() if name != file}}
    if right["said"] not in (None, found["said"]):
        return "exit 0, and says something else"
    return unequal(found, right)


@cache
def whole(kind: Kind, name: str) -> dict[str, Any]:
    """What a command makes of an undamaged folder."""
    line = kind.readers[name]
    done = run(line.split(), copy(world_of(kind.make), WHOLE), pictures=False)
    assert done.code == 0 or "page" in line, f"{line}: {done}"
    found = outcome(done, WHOLE)
    found["files"] = contents(WHOLE)
    return found | {"said": None} if name == "report" else found  # which may say that a run has no end


def campaign(kind: Kind, most: int | None) -> Table:
    world = world_of(kind.make)
    files = [
        str(path.relative_to(world)) for path in sorted((world / kind.target).rglob("*")) if path.is_file()
    ]
    trials = [(file, way, name) for file in files for way in WAYS for name in kind.readers]
    before = contents(world)
    table = Table(f"damage: {kind.name}")
    for file, way, name in sample(trials, most, kind.name):
        damaged = copy(world, TRIAL) / file
        WAYS[way](damaged)
        left = None if way in INSTEAD else digest(damaged)
        done = run(kind.readers[name].split(), TRIAL, pictures=False)
        table.add(
            f"{kind.name} {name}",
            f"{file} {way} {name}",
            judged(done, before, file, left, kind.readers[name], partial(whole, kind, name)),
        )
    return table


@pytest.mark.parametrize("first", range(GROUPS))
def test_a_damaged_file_is_named_or_made_anew(first: int):
    for kind in KINDS[first::GROUPS]:
        campaign(kind, 1).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_file_damaged_in_every_way_is_named_or_made_anew(kind: Kind):
    campaign(kind, MOST).require_right()
