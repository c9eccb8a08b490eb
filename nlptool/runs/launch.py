"""Processes and devices of training commands."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from nlptool import launch
from nlptool.console import Console
from nlptool.errors import Preempted, UsageError
from nlptool.train import distributed
from nlptool.train.config import TrainConfigBase
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler


class RunContext(NamedTuple):
    """One process of a run: its console, the other ranks, and its signal handler."""

    console: Console
    world: DistributedContext
    signals: SignalHandler


@contextmanager
def ranks(console: Console) -> Iterator[RunContext]:
    """Join the ranks of the launcher, or run this process alone; signals are handled, and only the first rank
    prints.

    It may be nested: the ranks are joined once.
    """
    launch.require_launcher(os.environ, sys.argv[1:])
    world = distributed.join(launch.read(os.environ), console.note)
    console.mute(not world.first)
    try:
        with SignalHandler(alone=world.size == 1) as signals:
            yield RunContext(console, world, signals)
    except Preempted as stop:
        if stop.hint:
            raise
        raise Preempted(
            f"{stop.message}; what was finished is kept", hint="the same command with --resume auto continues"
        ) from None


def work_alone() -> None:
    """Let this process run without the other ranks from now on."""
    launch.alone(os.environ)


def require_device(train: TrainConfigBase, world: DistributedContext, stage: str = "train") -> None:
    """Raise UsageError where the device does not support the recipe. stage: the key of `train` in it."""
    if train.precision == "bf16" and world.device.type == "cpu":
        raise UsageError(
            f"{stage}.precision: bf16 needs a GPU; most CPUs compute it in software, 20 to 50 times slower",
            hint=f"{stage}.precision=fp32",
        )
