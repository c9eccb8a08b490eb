"""What every training command shares: its processes, and the way into a session."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from nlptool import launch
from nlptool.console import Console, Options
from nlptool.errors import Preempted, UsageError
from nlptool.models.malloc import keep_freed_memory
from nlptool.runs import folder, resume
from nlptool.runs.job import RunConfig, RunResult, TrainingJob
from nlptool.runs.loop import TrainingRun
from nlptool.train import distributed
from nlptool.train.config import TrainConfigBase
from nlptool.train.distributed import DistributedContext
from nlptool.train.interrupts import SignalHandler
from nlptool.train.stages import FRESH, ResumedAt
from nlptool.train.trainer import derive_seed


@contextmanager
def ranks(console: Console) -> Iterator[tuple[DistributedContext, SignalHandler]]:
    """The ranks that a launcher started, or this process alone; signals are heeded, the first rank speaks.

    What runs within may enter again: the ranks are joined once.
    """
    launch.require_launcher(os.environ, sys.argv[1:])
    world = distributed.join(launch.read(os.environ), console.note)
    console.mute(not world.first)
    try:
        keep_freed_memory()
        with SignalHandler(alone=world.size == 1) as interrupts:
            yield world, interrupts
    except Preempted as stop:
        if stop.hint:
            raise
        raise Preempted(
            f"{stop.message}; what was finished is kept", hint="the same command with --resume auto goes on"
        ) from None


def work_alone() -> None:
    """From now on this process works without the other ranks."""
    launch.alone(os.environ)


def train(
    settings: RunConfig,
    options: Options,
    console: Console,
    build: Callable[[DistributedContext, ResumedAt], TrainingJob],
) -> RunResult:
    """Train from the start or from a checkpoint, to the end or to a signal.

    build: makes the job, once the process group stands and seeds are set, of how far the run has come.
    Raises Preempted with the state saved, NonFiniteLoss, DataError for a disk or checkpoint that fails.
    """
    with ranks(console) as (world, interrupts):
        return train_in(settings, options, console, build, world, interrupts)


def train_in(
    settings: RunConfig,
    options: Options,
    console: Console,
    build: Callable[[DistributedContext, ResumedAt], TrainingJob],
    world: DistributedContext,
    interrupts: SignalHandler,
) -> RunResult:
    """The same among processes that stand already."""
    source = world.on_first(
        lambda: folder.prepare_output_folder(settings.out, options, recipe=settings.recipe)
    )
    past = None if source is None else resume.find(source)
    torch.manual_seed(derive_seed(settings.seed))
    job = build(world, FRESH if past is None else past.begun)
    session = TrainingRun(settings, job, console, world, interrupts)
    if past is not None:
        session.resume(past)
    world.on_first(lambda: session.begin(overwrite=options.overwrite))
    return session.train()


def require_device(train: TrainConfigBase, world: DistributedContext, stage: str = "train") -> None:
    """Raise UsageError where the device cannot compute as the recipe says. stage: where `train` stands in it."""
    if train.precision == "bf16" and world.device.type == "cpu":
        raise UsageError(
            f"{stage}.precision: bf16 needs a GPU; most CPUs compute it in software, 20 to 50 times slower",
            hint=f"{stage}.precision=fp32",
        )
