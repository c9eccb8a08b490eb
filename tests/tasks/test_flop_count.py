"""What a step on labelled rows costs, whatever stands beside a row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import classification, extractive_qa, kagnet, multiple_choice, token_classification

from nlptool import flops
from nlptool.data.random_streams import RandomStreams
from nlptool.tasks.flop_count import FlopCount
from nlptool.text.tokenizer import Tokenizer

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
    cost = FlopCount(objective, rows, objective.read, torch.device("cpu"), objective.sizes)
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
