"""Runs that are killed at any moment, or meet a full disk at any byte, are resumed to equal bits and equal figures."""

import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from trials import SEED, Done, Table, begin, contents, copy, outcome, preload, run, told_wrong, wait
from worlds import KINDS, Kind, world_of

TRAINED = [kind for kind in KINDS if kind.train]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT)
MANY = int(os.environ.get("NLPTOOL_FAULTS_MOST", "100"))


def fresh(kind: Kind, to: Path) -> Path:
    """A world in which the folder is to be made yet."""
    copy(world_of(kind.make), to)
    shutil.rmtree(to / kind.target)
    return to


def reference(kind: Kind, folder: Path) -> tuple[dict[str, Any], float, int]:
    """What an undisturbed run comes to, the seconds that it takes, and the size of its largest file."""
    preload()
    world, began = fresh(kind, folder / "whole"), time.monotonic()
    done = run(kind.train.split(), world)
    assert done.code == 0, done
    seconds = time.monotonic() - began
    largest = max(p.stat().st_size for p in (world / kind.target).rglob("*") if p.is_file())
    return outcome(done, world), seconds, largest


def unequal(kind: Kind, world: Path, right: dict[str, Any]) -> str | None:
    """Resume a run; what it then has not as an undisturbed one."""
    leftovers = [name for name in contents(world) if "nlptool-partial" in name]
    done = run([*kind.train.split(), "--resume", "auto"], world)
    if done.code:
        return f"resume: exit {done.code}: {done.err[-300:]} {leftovers}"
    found = outcome(done, world)
    if found["weights"] != right["weights"]:
        return "resumed to other bits"
    for name, figures in right["figures"].items():
        now = found["figures"].get(name, {})
        if not name.endswith("metrics.jsonl"):
            if figures != now:
                return f"resumed to other figures in {name}"
        elif lost := [step for step in figures if figures[step] != now.get(step)]:
            return f"resumed to other figures in {name}, steps {lost[:3]}"
    return None


def killed(kind: Kind, folder: Path, most: int) -> Table:
    right, seconds, _ = reference(kind, folder)
    table, rng = Table(f"kills: {kind.name}"), random.Random(f"{SEED} kills {kind.name}")
    for number in range(most):
        name, moment = SIGNALS[number % len(SIGNALS)], rng.uniform(0.02, 1.02) * seconds
        world = fresh(kind, folder / "trial")
        child = begin(kind.train.split(), world)
        time.sleep(moment)
        os.kill(child, name)
        done = wait(child, world)
        what = f"{name.name} after {moment:.2f} s of {seconds:.2f}"
        table.add(f"{kind.name} {name.name}", what, _stopped_wrong(done, name) or unequal(kind, world, right))
    return table


def _stopped_wrong(done: Done, name: signal.Signals) -> str | None:
    if "Traceback (most recent" in done.err or "defect" in done.err:
        return f"says {done.err[-300:]}"
    if done.code not in (0, 75, 128 + name, -name):
        return f"exit {done.code}: {done.err[-300:]}"
    return None


def filled(kind: Kind, folder: Path, most: int) -> Table:
    right, _, largest = reference(kind, folder)
    table, rng = Table(f"full disk: {kind.name}"), random.Random(f"{SEED} disk {kind.name}")
    for _ in range(most):
        limit = int(largest ** rng.uniform(0.3, 1.0))

        def set_limit(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        world = fresh(kind, folder / "trial")
        done = run(kind.train.split(), world, set_limit)
        wrong = told_wrong(done) if len(done.err) < limit else None  # no error fits where messages do not
        table.add(kind.name, f"files of {limit} bytes", wrong or unequal(kind, world, right))
    return table


def test_a_run_that_is_killed_is_resumed_to_equal_bits_and_figures(tmp_path: Path):
    killed(TRAINED[0], tmp_path, 3).require_right()


def test_a_run_that_meets_a_full_disk_is_resumed_to_equal_bits_and_figures(tmp_path: Path):
    filled(TRAINED[0], tmp_path, 2).require_right()


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRAINED, ids=lambda kind: kind.name)
def test_each_kind_of_run_that_is_killed_is_resumed(kind: Kind, tmp_path: Path):
    killed(kind, tmp_path, MANY).require_right()


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRAINED, ids=lambda kind: kind.name)
def test_each_kind_of_run_that_meets_a_full_disk_is_resumed(kind: Kind, tmp_path: Path):
    filled(kind, tmp_path, MANY).require_right()
