"""Some steps of a run that is not made, to know its time."""

from collections.abc import Callable

import torch

from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.launch import ALONE
from nlptool.runs.benchmark import StageProbe
from nlptool.runs.job import TrainingJob
from nlptool.runs.machine import memory_used
from nlptool.train import distributed
from nlptool.train.config import PretrainConfig
from nlptool.train.distributed import DistributedContext


def stage_probe(
    train: PretrainConfig, seed: int, build: Callable[[DistributedContext], TrainingJob], console: Console
) -> StageProbe | None:
    """What times the steps of a job's stages; None, with a note, where this machine cannot carry out the recipe.

    That recipe may be for another machine. build: makes the job on one rank; UsageError where it cannot be.
    """
    world = distributed.join(ALONE)
    before = memory_used(world.device)
    torch.manual_seed(seed)
    try:
        job = build(world)
    except UsageError as error:
        console.note(f"no time estimate: {error.message}")
        return None
    return StageProbe(job.objective, train, seed, world, before)
