"""FLOPs of a step on labelled rows, independent of the other rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import classification, extractive_qa, kagnet, multiple_choice, token_classification

from nlptool import flops
from nlptool.data.random_streams import RandomStreams
from nlptool.tasks import flop_count
from nlptool.tasks.flop_count import FlopCount
from nlptool.text.tokenizer import Tokenizer
from nlptool.train import estimate

CASES = [
    ("classification", classification.VARIANTS["classes-of-two-texts"]),
    ("token_classification", token_classification.VARIANTS["words"]),
    ("extractive_qa", extractive_qa.VARIANTS["answerable"]),
    ("multiple_choice", next(iter(multiple_choice.VARIANTS.values()))),
    ("kagnet", kagnet.VARIANTS["two-columns"]),
]


def batch_of(objective, rows, numbers):
    numbers = np.asarray(numbers)
    return objective.collate(rows.take(numbers), RandomStreams(0, 0))


@pytest.mark.parametrize(("kind", "settings"), CASES, ids=[kind for kind, _ in CASES])
def test_a_batch_costs_what_its_rows_cost_alone_without_padding(
    kind, settings, tiny_store: Path, tmp_path: Path
):
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    split = small.encoded(kind, settings, tokenizer, tmp_path)
    objective = small.build(kind, settings, tokenizer)
    rows = objective.dataset(split, small.LENGTH)
    cost = FlopCount(objective, rows, objective, torch.device("cpu"))
    alone = []
    for row in range(len(rows)):
        batch = batch_of(objective, rows, [row])
        with torch.no_grad(), flops.counting() as count:
            objective(replace(batch, compute_padding=True))
        alone.append(cost(batch))
        if len(set(batch["lengths"].tolist())) == 1:  # one document, or several of one length: no padding
            assert alone[-1] == pytest.approx(count.step, rel=1e-6)
        else:
            assert alone[-1] < count.step
    every = range(len(rows))
    assert cost(batch_of(objective, rows, every)) == pytest.approx(sum(alone))
    assert cost(batch_of(objective, rows, every[::-1])) == pytest.approx(sum(alone))
    assert cost.mean() == pytest.approx(np.mean(alone))


@pytest.mark.parametrize(("kind", "settings"), CASES, ids=[kind for kind, _ in CASES])
def test_a_small_model_costs_as_much_with_zeros_on_the_cpu_as_without_data(
    kind, settings, tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    split = small.encoded(kind, settings, tokenizer, tmp_path, rows=8)
    with estimate.shapes_only():
        shapes = small.build(kind, settings, tokenizer)
    rows = shapes.dataset(split, small.LENGTH)

    places, call = [], flop_count.functional_call

    def noted(objective, weights, given):
        places.append({tensor.device.type for tensor in given[0].tensors.values()})
        return call(objective, weights, given)

    def mean() -> float:
        return FlopCount(shapes, rows, shapes, torch.device("meta")).mean()

    monkeypatch.setattr(flop_count, "functional_call", noted)
    on_cpu, small_ones = mean(), len(places)
    monkeypatch.setattr(flop_count, "SMALL", 0)
    assert mean() == pytest.approx(on_cpu, rel=1e-9)
    assert places[:small_ones] == [{"cpu"}] * small_ones
    assert places[small_ones:] == [{"meta"}] * small_ones
