"""Costs of a trained model: parameters, bytes, latency, throughput.

Times are comparable only within one call of `measure`: the models take turns, so that other load on the machine
affects all of them, and the median of each counts.
"""

# B rows, T tokens

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from nlptool.data.batches import Batch

REPEATS = 9  # measurements of each model; the median is reported
# Shortest turn in seconds, so that the resolution of the clock and a single delay do not matter.
SHORTEST = 0.02
ROWS = 32  # rows of the batch that measures throughput


class TimedModel(NamedTuple):
    """A model and its forward function."""

    module: nn.Module
    answer: Callable[[Batch], object]
    """Its outputs for a batch, e.g. a TaskObjective's `predict`."""


class ModelCost(NamedTuple):
    """Costs of a model on this machine."""

    parameters: int
    """Shared ones once."""
    bytes: int
    """Memory of these parameters, in bytes."""
    latency: float
    """Seconds for a single row."""
    throughput: float
    """Rows a second in batches."""


def measure(
    subjects: Mapping[str, TimedModel], single: Batch, several: Batch, repeats: int = REPEATS
) -> dict[str, ModelCost]:
    """Measure each model, without dropout and gradients, on the device of the batches.

    single: a batch of one row, for latency; several: of ROWS rows or so, for throughput. All models read the same.
    """
    latency = _seconds(subjects, single, repeats)
    seconds = _seconds(subjects, several, repeats)
    rows = len(several["ids"])
    return {
        name: ModelCost(
            sum(parameter.numel() for parameter in module.parameters()),
            sum(parameter.numel() * parameter.element_size() for parameter in module.parameters()),
            latency[name],
            rows / seconds[name],
        )
        for name, (module, _) in subjects.items()
    }


@torch.inference_mode()
def _seconds(subjects: Mapping[str, TimedModel], batch: Batch, repeats: int) -> dict[str, float]:
    """The median time of each model for the batch."""
    modes = {name: module.training for name, (module, _) in subjects.items()}
    turns: dict[str, list[float]] = {name: [] for name in subjects}
    try:
        calls = {}
        for name, (module, answer) in subjects.items():
            module.eval()
            _turn(answer, batch, 1)  # the first call is slower
            calls[name] = max(1, math.ceil(SHORTEST / max(_turn(answer, batch, 1), 1e-9)))
        for _ in range(repeats):
            for name, subject in subjects.items():
                turns[name].append(_turn(subject.answer, batch, calls[name]))
    finally:
        for name, (module, _) in subjects.items():
            module.train(modes[name])
    return {name: statistics.median(found) for name, found in turns.items()}


def _turn(answer: Callable[[Batch], object], batch: Batch, calls: int) -> float:
    """Seconds of one call, the mean of several in a row."""
    device = batch["ids"].device
    _finish(device)
    started = time.perf_counter()
    for _ in range(calls):
        answer(batch)
    _finish(device)
    return (time.perf_counter() - started) / calls


def _finish(device: torch.device) -> None:
    """Wait for the GPU to finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
