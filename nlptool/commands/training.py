"""What every training command shares: its processes, and the way into a session."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from nlptool import launch
from nlptool.commands import folder, resuming
from nlptool.commands.job import Job, Outcome, Settings
from nlptool.commands.session import Session
from nlptool.console import Console, Options
from nlptool.errors import Preempted, UsageError
from nlptool.train import distributed
from nlptool.train.config import Updates
from nlptool.train.distributed import World
from nlptool.train.interrupts import Interrupts
from nlptool.train.malloc import keep_freed_memory
from nlptool.train.stages import FRESH, Begun
from nlptool.train.trainer import mix


@contextmanager
def ranks(console: Console) -> Iterator[tuple[World, Interrupts]]:
    """The ranks that a launcher started, or this process alone; signals are heeded, the first rank speaks.

    What runs within may enter again: the ranks are joined once.
    """
    launch.require_launcher(os.environ, sys.argv[1:])
    world = distributed.join(launch.read(os.environ), console.note)
    console.mute(not world.first)
    try:
        keep_freed_memory()
        with Interrupts(alone=world.size == 1) as interrupts:
            yield world, interrupts
    except Preempted as stop:
        if stop.hint:
            raise
        raise Preempted(
            f"{stop.message}; what was finished is kept", hint="the same command with --resume auto goes on"
        ) from None


def run(
    settings: Settings,
    options: Options,
    console: Console,
    build: Callable[[World, Begun], Job],
) -> Outcome:
    """Train from the start or from a checkpoint, to the end or to a signal.

    build: makes the job, once the process group stands and seeds are set, of how far the run has come.
    Raises Preempted with the state saved, NonFiniteLoss, DataError for a disk or checkpoint that fails.
    """
    with ranks(console) as (world, interrupts):
        return run_here(settings, options, console, build, world, interrupts)


def run_here(
    settings: Settings,
    options: Options,
    console: Console,
    build: Callable[[World, Begun], Job],
    world: World,
    interrupts: Interrupts,
) -> Outcome:
    """The same among processes that stand already."""
    source = world.on_first(
        lambda: folder.claim(
            settings.out,
            resume=options.resume,
            overwrite=options.overwrite,
            kind=type(settings.recipe),
            reads=settings.recipe,
        )
    )
    past = None if source is None else resuming.find(source)
    torch.manual_seed(mix(settings.seed))
    job = build(world, FRESH if past is None else past.begun)
    session = Session(settings, job, console, world, interrupts)
    if past is not None:
        session.resume(past)
    world.on_first(lambda: session.begin(overwrite=options.overwrite))
    return session.train()


def require_device(train: Updates, world: World, stage: str = "train") -> None:
    """Raise UsageError where the device cannot compute as the recipe says. stage: where `train` stands in it."""
    if train.precision == "bf16" and world.device.type == "cpu":
        raise UsageError(
            f"{stage}.precision: bf16 needs a GPU; most CPUs compute it in software, 20 to 50 times slower",
            hint=f"{stage}.precision=fp32",
        )
