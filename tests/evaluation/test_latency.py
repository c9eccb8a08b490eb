"""Size and speed of a model."""

import time

import pytest
import torch
from torch import nn

from nlptool.data.batches import Batch
from nlptool.evaluation.latency import TimedModel, measure

ONE, FOUR = (Batch({"ids": torch.ones(rows, 5, dtype=torch.long)}, {}, rows * 5) for rows in (1, 4))


def asleep(seconds: float, heard: list[str], name: str) -> TimedModel:
    """A model of one parameter that takes so long for a row."""

    def answer(batch):
        heard.append(name)
        time.sleep(seconds * len(batch["ids"]))

    return TimedModel(nn.Linear(1, 1, bias=False), answer)


def test_parameters_that_are_shared_count_once_and_bytes_follow_their_width():
    first, second = nn.Linear(3, 4), nn.Linear(3, 4, bias=False)
    second.weight = first.weight
    whole = measure({"m": TimedModel(nn.ModuleList([first, second]), lambda batch: None)}, ONE, FOUR, 1)["m"]
    half = measure({"m": TimedModel(nn.Linear(3, 4).half(), lambda batch: None)}, ONE, FOUR, 1)["m"]
    assert (whole.parameters, whole.bytes) == (16, 64)
    assert (half.parameters, half.bytes) == (16, 32)


def test_latency_is_seconds_a_row_and_throughput_rows_a_second():
    found = measure({"slow": asleep(0.02, [], "slow"), "fast": asleep(0.005, [], "fast")}, ONE, FOUR, 3)
    assert 0.005 <= found["fast"].latency < 0.02 <= found["slow"].latency
    assert found["slow"].throughput <= 50 < found["fast"].throughput <= 200


def test_models_take_turns_so_that_a_busy_machine_is_fair_to_all():
    heard: list[str] = []
    measure({"a": asleep(0.021, heard, "a"), "b": asleep(0.021, heard, "b")}, ONE, FOUR, 3)
    turns = "aabb" + 3 * "ab"  # two calls each before it counts, then one a turn
    assert "".join(heard) == 2 * turns


def test_the_answer_is_given_without_dropout_and_the_mode_is_put_back():
    module = nn.Linear(1, 1)
    seen = []
    measure(
        {"m": TimedModel(module, lambda batch: seen.append((module.training, torch.is_grad_enabled())))},
        ONE,
        FOUR,
        1,
    )
    assert set(seen) == {(False, False)}
    assert module.training


def test_a_mode_is_put_back_also_when_a_model_fails():
    module = nn.Linear(1, 1)

    def fails(batch):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        measure({"m": TimedModel(module, fails)}, ONE, FOUR)
    assert module.training
