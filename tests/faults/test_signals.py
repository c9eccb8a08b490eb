"""Signals at any moment: every command ends as documented, and can be run again."""

import random
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from trials import MOST, ROOT, SEED, Done, Stop, Table, copy, outcome, run, stopped_wrong, unequal
from worlds import KINDS, world_of

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
WAYS = ("calls", "writes", "calls", "seconds")
FRESH = 4  # one trial in so many is a process of its own: most of its time goes into imports
TRIAL = Path(ROOT.name) / "trial"


class Command(NamedTuple):
    """A command line, in a world in which it can be carried out."""

    make: Callable[[Path], None]
    line: str

    @property
    def again(self) -> str:
        """What is said after it was ended."""
        if "--resume" in self.line or "--overwrite" in self.line:
            return self.line
        if ".yaml" in self.line:
            return f"{self.line} --resume auto"
        return f"{self.line} --overwrite" if "--out" in self.line else self.line


COMMANDS = [Command(kind.make, line) for kind in KINDS for line in kind.readers.values()]


@cache
def whole(command: Command, fresh: bool = False) -> tuple[Done, dict[str, Any]]:
    """An undisturbed command, and what it comes to."""
    world = copy(world_of(command.make), TRIAL)
    done = run(command.line.split(), world, counts=not fresh, fresh=fresh, pictures=fresh)
    return done, outcome(done, world)


def signalled(most: int, commands: list[Command]) -> Table:
    table, rng = Table("signals"), random.Random(f"{SEED} signals")
    taken = [command for command in commands if not whole(command)[0].code]  # some refuse such a folder
    for number in range(most):
        command, sent = rng.choice(taken), SIGNALS[number % len(SIGNALS)]
        fresh = number // len(SIGNALS) % FRESH == FRESH - 1
        by = "seconds" if fresh else WAYS[number // len(SIGNALS) % len(WAYS)]
        done, right = whole(command)
        if by == "seconds":
            at = rng.uniform(0, whole(command, fresh)[0].processor if fresh else done.processor)
        else:
            at = rng.randint(1, max(1, getattr(done, by)))
        world = copy(world_of(command.make), TRIAL)
        ended = run(command.line.split(), world, stop=Stop(sent, by, at), fresh=fresh, pictures=fresh)
        wrong = stopped_wrong(ended, sent)
        if wrong is None:
            then = run(command.again.split(), world, pictures=False)
            found = outcome(then, world)
            wrong = f"again: exit {then.code}: {then.err[-300:]}" if then.code else unequal(found, right)
        row = "a process of its own" if fresh else ended.phase or "by the clock"
        table.add(f"{sent.name} {row}", f"{number} {command.line} {by} {at:,.2f} -> {ended.code}", wrong)
    return table


def test_a_command_that_gets_a_signal_ends_as_documented_and_can_be_carried_out_again():
    quick = [command for command in COMMANDS if command.line.split()[0] in ("doctor", "export")]
    signalled(2, quick[:3]).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
def test_commands_that_get_signals_end_as_documented_and_can_be_carried_out_again():
    signalled(MOST or 200, COMMANDS).require_right()
