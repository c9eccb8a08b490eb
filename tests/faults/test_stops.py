"""Runs that are killed at any moment, or meet a full disk at any byte, resume to equal bits and figures."""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from trials import (
    MOST,
    ROOT,
    SEED,
    SIGNALS,
    Done,
    Stop,
    Table,
    copy,
    outcome,
    run,
    stopped_wrong,
    told_wrong,
    unequal,
)
from worlds import KINDS, Kind, world_of

TRAINED = {kind.name: kind for kind in KINDS if kind.train}
MANY = MOST or 100
TRIAL, DISK = Path(ROOT.name) / "trial", Path(ROOT.name) / "disk"
PAGE = os.sysconf("SC_PAGESIZE")
WAYS = ("writes", "calls", "writes", "seconds")
FRESH = 10  # one trial in so many is a process of its own


class Whole(NamedTuple):
    """An undisturbed run."""

    outcome: dict[str, Any]
    done: Done
    largest: int
    """Bytes of its largest file."""
    pages: int
    """Blocks of a disk that it fills."""
    files: int


def begun(kind: Kind, to: Path) -> Path:
    """A world in which the folder is to be made yet."""
    copy(world_of(kind.make), to)
    shutil.rmtree(to / kind.target)
    return to


@cache
def whole(kind: Kind) -> Whole:
    begun(kind, TRIAL)
    done = run(kind.train.split(), TRIAL, counts=True)
    assert done.code == 0, done
    right = outcome(done, TRIAL)
    made = [path.stat() for path in (TRIAL / kind.target).rglob("*")]
    pages = sum(-(-one.st_size // PAGE) for one in made)
    return Whole(right, done, max(one.st_size for one in made), pages, len(made))


def resumed(kind: Kind, world: Path) -> str | None:
    """Resume a run; what it then has not as an undisturbed one."""
    done = run([*kind.train.split(), "--resume", "auto"], world, pictures=False)
    if done.code:
        return f"resume: exit {done.code}: {done.err[-300:]}"
    why = unequal(outcome(done, world), whole(kind).outcome)
    return f"resumed to {why}" if why else None


def stops(kind: Kind, most: int, rng: random.Random) -> Iterator[tuple[Stop, bool]]:
    """Signals at moments that are even in writes, calls and time; and whether the process is a fresh one."""
    for number in range(most):
        name, fresh = SIGNALS[number % len(SIGNALS)], number % FRESH == FRESH - 1
        by = "seconds" if fresh else WAYS[number % len(WAYS)]
        if by == "seconds":
            yield Stop(name, by, rng.uniform(0, seconds(kind, fresh))), fresh
        else:
            yield Stop(name, by, rng.randint(1, getattr(whole(kind).done, by))), fresh


def draws(number: int) -> bool:
    """Whether a trial draws, too, which takes longer than all else: one in three does."""
    return number % 3 == 0


@cache
def seconds(kind: Kind, fresh: bool) -> float:
    """Processor time of an undisturbed run."""
    return run(kind.train.split(), begun(kind, TRIAL), fresh=fresh).processor


def killed(kind: Kind, most: int) -> Table:
    table, rng = Table(f"kills: {kind.name}"), random.Random(f"{SEED} kills {kind.name}")
    for number, (stop, fresh) in enumerate(stops(kind, most, rng)):
        done = run(kind.train.split(), begun(kind, TRIAL), stop=stop, fresh=fresh)
        wrong = stopped_wrong(done, stop.signal)
        if wrong is None and rng.random() < 0.2:  # once more, on the way
            again = Stop(stop.signal, "calls", 1 + rng.randrange(whole(kind).done.calls))
            second = run([*kind.train.split(), "--resume", "auto"], TRIAL, stop=again)
            wrong = stopped_wrong(second, stop.signal)
        what = f"{number} {stop.signal.name} {stop.by} {stop.at:,.2f} {done.phase}"
        row = "in a process of its own" if fresh else done.phase or "by the clock"
        table.add(f"{kind.name} {row}", what, wrong or resumed(kind, TRIAL))
    return table


def limited(kind: Kind, most: int) -> Table:
    """Files that may have so many bytes: the disk is full there, or the process is killed at just that byte."""
    table, rng = Table(f"full at a byte: {kind.name}"), random.Random(f"{SEED} bytes {kind.name}")
    for number in range(most):
        limit, dies = int(whole(kind).largest ** rng.uniform(0.3, 1.0)), number % 4 == 3
        done = run(kind.train.split(), begun(kind, TRIAL), limit=limit, dies=dies, pictures=draws(number))
        wrong = None
        if not dies and len(done.err) < limit:  # no error fits where messages do not
            wrong = told_wrong(done)
        row = "killed at the byte" if dies else "no byte more"
        table.add(f"{kind.name} {row}", f"files of {limit} bytes {row}", wrong or resumed(kind, TRIAL))
    return table


@contextmanager
def disk() -> Iterator[Path]:
    """A small file system. Skips the test where none can be mounted."""
    DISK.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "none", DISK], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield DISK
    finally:
        subprocess.run(["umount", "--lazy", DISK], check=True)


def leave(pages: int | None, files: int | None) -> None:
    """Let the small file system have room for so much more; None: for all."""
    used = os.statvfs(DISK)
    size = 2**30 if pages is None else (used.f_blocks - used.f_bfree + pages) * used.f_frsize
    inodes = 2**20 if files is None else used.f_files - used.f_ffree + files
    options = f"remount,size={size},nr_inodes={inodes}"
    subprocess.run(["mount", "-o", options, DISK], check=True)


def filled(kind: Kind, most: int) -> Table:
    """A disk that has room for so many pages, or so many files, more."""
    table, rng = Table(f"full disk: {kind.name}"), random.Random(f"{SEED} disk {kind.name}")
    want = whole(kind)
    with disk() as folder:
        for number in range(most):
            leave(None, None)
            world = begun(kind, folder / "world")
            files = number % 4 == 3
            room = rng.randrange(want.files if files else want.pages)
            leave(None if files else room, room if files else None)
            done = run(kind.train.split(), world, pictures=draws(number))
            wrong = told_wrong(done)
            leave(None, None)
            row = "files" if files else "pages"
            table.add(f"{kind.name} {row}", f"room for {room} {row}", wrong or resumed(kind, world))
    return table


def test_a_run_that_is_killed_is_resumed_to_equal_bits_and_figures():
    killed(TRAINED["pretrain"], 1).require_right()


def test_a_run_that_meets_a_full_disk_is_resumed_to_equal_bits_and_figures():
    limited(TRAINED["pretrain"], 1).require_right()
    filled(TRAINED["pretrain"], 1).require_right()


def test_a_signal_in_the_first_or_the_last_calls_ends_a_command_without_a_traceback():
    world = copy(world_of(TRAINED["pretrain"].make), TRIAL)
    calls = run(["doctor", "run"], world, counts=True).calls
    for call in (30, calls - 10):
        done = run(["doctor", "run"], world, stop=Stop(signal.SIGINT, "calls", call))
        assert stopped_wrong(done, signal.SIGINT) is None


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
@pytest.mark.parametrize("kind", TRAINED.values(), ids=TRAINED)
def test_each_kind_of_run_that_is_killed_is_resumed(kind: Kind):
    killed(kind, MANY).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
@pytest.mark.parametrize("kind", TRAINED.values(), ids=TRAINED)
def test_each_kind_of_run_that_meets_its_last_byte_is_resumed(kind: Kind):
    limited(kind, MANY).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
@pytest.mark.parametrize("kind", TRAINED.values(), ids=TRAINED)
def test_each_kind_of_run_that_meets_a_full_disk_is_resumed(kind: Kind):
    filled(kind, MANY).require_right()
