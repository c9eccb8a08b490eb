"""Every file of every kind of folder, damaged in every way, under every command that reads it.

Right is a result as from the whole folder, or a documented exit code with one line of error, and nothing else lost.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trials import Done, Table, contents, copy, outcome, preload, run, sample, told_wrong
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
TEXT = (".json", ".jsonl", ".yaml", ".txt", ".md", ".tsv", ".svg", ".html")
"""Files that a person may edit: a letter changed in one of them may be meant, and is read as it is."""
APPENDED = ("command.txt", "metrics.jsonl", "run.json", "recipe.yaml", "environment.json")
"""Files that a resumed run writes before it can find what is wrong."""


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


def judged(done: Done, cwd: Path, before: dict[str, str], file: str, way: str, right: dict) -> str | None:
    if (why := told_wrong(done)) is not None:
        return why
    if done.code:
        return lost(before, cwd, file)
    if "passed over" in done.err:  # an older checkpoint, and the user knows
        return None
    may_differ = file.endswith(TEXT)
    try:
        found = outcome(done, cwd)
    except (ValueError, KeyError, OSError) as error:
        return None if may_differ else f"exit 0, and left {error!r}"
    weights = [{n: sha for n, sha in one["weights"].items() if n != file} for one in (found, right)]
    if may_differ or (weights[0] == weights[1] and right["said"] in (None, found["said"])):
        return None
    return "exit 0 with another result"


def campaign(kind: Kind, folder: Path, most: int | None, monkeypatch: pytest.MonkeyPatch) -> Table:
    from nlptool.commands import report

    monkeypatch.setattr(report, "_write", lambda runs, out, console: [])  # pictures take seconds
    preload()
    world, trial = world_of(kind.make), folder / "trial"
    whole: dict[str, dict[str, Any]] = {}
    files = [
        str(path.relative_to(world)) for path in sorted((world / kind.target).rglob("*")) if path.is_file()
    ]
    trials = [(file, way, name) for file in files for way in WAYS for name in kind.readers]
    before = contents(world)
    table = Table(f"damage: {kind.name}")
    for file, way, name in sample(trials, most, kind.name):
        if name not in whole:
            done = run(kind.readers[name].split(), copy(world, trial))
            assert done.code == 0 or "page" in kind.readers[name], f"{kind.readers[name]}: {done}"
            whole[name] = outcome(done, trial)
        WAYS[way](copy(world, trial) / file)
        done = run(kind.readers[name].split(), trial)
        right = whole[name] | (
            {"said": None} if name == "report" else {}
        )  # which may say that a run has no end
        wrong = judged(done, trial, before, file, way, right)
        table.add(f"{kind.name} {name}", f"{file} {way} {name}", wrong)
    return table


def test_a_damaged_file_is_named_or_made_anew(tmp_path: Path, monkeypatch):
    for kind in KINDS[:3]:
        campaign(kind, tmp_path, 3, monkeypatch).require_right()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_file_damaged_in_every_way_is_named_or_made_anew(kind: Kind, tmp_path: Path, monkeypatch):
    most = os.environ.get("NLPTOOL_FAULTS_MOST")
    campaign(kind, tmp_path, int(most) if most else None, monkeypatch).require_right()
