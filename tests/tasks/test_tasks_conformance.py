"""What holds for every kind of task. A kind is found by its folder; what must be known of it is in kinds/NAME.py."""

import json
import math
from pathlib import Path

import batch_keys
import numpy as np
import pytest
import small
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool import registry
from nlptool.data.batches import Batch
from nlptool.data.pair_inputs import TextPairDataset
from nlptool.tasks.base import TaskObjective
from nlptool.text.row_template import for_decoder
from nlptool.text.store import Split
from nlptool.text.tokenizer import Tokenizer

KINDS = registry.names("tasks")
CASES = [(name, v, "") for name in KINDS for v in small.facts(name).VARIANTS]
CASES += [  # kinds that a decoder learns, too: of two texts
    (name, variant, "gpt2")
    for name in KINDS
    if len(registry.config("tasks", name).kinds) > 1
    for variant, settings in small.facts(name).VARIANTS.items()
    if len(settings["inputs"]) == 2 and "graph" not in settings
]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=CASES, ids="-".join, scope="module")
def chosen(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    return request.param


@pytest.fixture(scope="module")
def case(chosen) -> tuple[str, dict]:
    name, variant, _ = chosen
    return name, small.facts(name).VARIANTS[variant]


@pytest.fixture(scope="module")
def family(chosen) -> dict:
    """The model's family, where it is not that of the kind's tiny model."""
    return {"name": chosen[-1]} if chosen[-1] else {}


@pytest.fixture(scope="module")
def tokenizer(chosen, tiny_store: Path) -> Tokenizer:
    found = Tokenizer.load(tiny_store / "tokenizer")
    return for_decoder(found, found.special["eos"]) if chosen[-1] else found


@pytest.fixture(scope="module")
def stored(case, family: dict, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Split:
    return small.encoded(*case, tokenizer, tmp_path_factory.mktemp("stored"), **family)


@pytest.fixture
def objective(case, family: dict, tokenizer: Tokenizer) -> TaskObjective:
    return small.build(*case, tokenizer, **family)


@pytest.fixture
def rows(objective: TaskObjective, stored: Split) -> TextPairDataset:
    return objective.dataset(stored, small.length(objective.config.name))


@pytest.fixture
def batch(objective: TaskObjective, rows: TextPairDataset) -> Batch:
    return small.batches(objective, rows).get(0)[0]


def loss(objective: TaskObjective, micro_batches: list[Batch]) -> Tensor:
    (term,) = objective.weights
    total = sum(b.counts[term] for b in micro_batches)
    return sum(objective(b)[term] for b in micro_batches) / total


def test_every_term_has_a_weight_and_a_positive_count(objective: TaskObjective, batch: Batch):
    sums = objective(batch)
    assert set(sums) == set(objective.weights) == set(batch.counts)
    assert all(count > 0 for count in batch.counts.values())
    assert all(value.shape == () for value in sums.values())


def test_every_key_of_a_batch_is_documented_with_its_shape(objective: TaskObjective, batch: Batch):
    assert batch_keys.undocumented(objective, batch) == []


def test_tokens_counts_what_is_not_padding(objective: TaskObjective, batch: Batch):
    behind = torch.arange(batch["ids"].shape[1]) >= objective.read(batch)[:, None]
    assert batch.tokens == int(objective.read(batch).sum())
    assert behind.any()
    unread = {objective.vocabulary.special["pad"], getattr(objective, "end", None)}
    assert set(batch["ids"][behind].tolist()) <= unread


def test_a_head_that_says_nothing_costs_as_much_as_knowing_nothing(
    case, objective: TaskObjective, batch: Batch
):
    torch.nn.init.zeros_(objective.get_parameter(small.facts(case[0]).HEAD))
    (term,) = objective.weights
    expected = small.facts(case[0]).AT_INIT[term]
    mean = objective(batch)[term].item() / batch.counts[term]
    if expected is None:
        assert mean == pytest.approx(batch["labels"].square().mean().item(), rel=1e-5)
    else:
        assert mean == pytest.approx(expected(objective, batch), rel=1e-5)


def test_padding_neither_costs_nor_changes_anything(objective: TaskObjective, rows: TextPairDataset):
    objective.double()
    (batch,) = small.all_rows(objective, rows, len(rows))
    wide = dict(batch.tensors)
    width = batch["ids"].shape[1]
    wide["ids"] = F.pad(batch["ids"], (0, 7), value=9)
    if "types" in batch:
        wide["types"] = F.pad(batch["types"], (0, 7), value=1)
    for name in getattr(small.facts(objective.config.name), "PLACES", ()):  # in all rows of ids, end to end
        wide[name] = batch[name] + 7 * (batch[name] // width)
    other = dict(batch.tensors)
    behind = torch.arange(width) >= objective.read(batch)[:, None]
    other["ids"] = torch.where(behind, 9, batch["ids"])
    expected = objective.predict(batch)
    for changed in (wide, other):
        said = objective.predict(Batch(changed, batch.counts, batch.tokens))
        assert (said - expected).abs().max() < 1e-12


@pytest.mark.parametrize("size", [1, 8, 1000])
def test_what_is_said_of_a_row_does_not_depend_on_the_batch(
    objective: TaskObjective, rows: TextPairDataset, size: int
):
    objective.double()
    together = small.all_rows(objective, rows, len(rows))
    assert len(together) == 1
    expected = torch.empty(len(rows.labels), objective.num_outputs, dtype=torch.float64)
    expected[together[0]["row"]] = objective.predict(together[0])
    seen = []
    for some in small.all_rows(objective, rows, size):
        assert (objective.predict(some) - expected[some["row"]]).abs().max() < 1e-12
        seen += some["row"].tolist()
    assert sorted(seen) == list(range(len(rows.labels)))


def test_the_summed_cost_of_what_is_said_is_the_loss(objective: TaskObjective, batch: Batch):
    (term,) = objective.weights
    said = objective.predict(batch)
    assert objective.cost(said, batch["labels"]).item() == pytest.approx(objective(batch)[term].item(), 1e-6)


@pytest.mark.parametrize("accumulate", [2, 4])
def test_gradients_do_not_depend_on_accumulation(
    objective: TaskObjective, rows: TextPairDataset, accumulate: int
):
    objective.double()
    gradients = []
    for parts in (1, accumulate):
        objective.zero_grad()
        loss(objective, small.batches(objective, rows, accumulate=parts).get(3)).backward()
        gradients.append([p.grad.clone() for p in objective.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(list(objective.parameters()))
    for one, two in zip(*gradients, strict=True):
        assert (one - two).abs().max() < 1e-9


def test_eight_rows_are_learnt_by_heart_within_sixty_steps(objective: TaskObjective, batch: Batch):
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    first = loss(objective, [batch]).item()
    for _ in range(60):
        optimizer.zero_grad()
        now = loss(objective, [batch])
        now.backward()
        optimizer.step()
        if now.item() < 0.05 * first and distance(objective, batch) < 0.6:
            break
    objective.eval()
    assert loss(objective, [batch]).item() < 0.05 * first
    assert distance(objective, batch) < 0.6


def distance(objective: TaskObjective, batch: Batch) -> float:
    """How far what the model decides lies from the labels, at most."""
    with torch.inference_mode():
        logits = objective.predict(batch).double().numpy()
    if own := getattr(small.facts(objective.config.name), "distance", None):
        return own(logits, batch)
    decided = objective.decide(logits)
    return float(abs(decided - batch["labels"].double().numpy()).max())


def right(objective: TaskObjective, rows: TextPairDataset) -> np.ndarray:
    """What a model says that is right, and sure of it."""
    if objective.num_outputs == 1:
        return rows.labels
    if own := getattr(small.facts(objective.config.name), "right", None):
        return own(objective, rows)
    return 20.0 * np.eye(objective.num_outputs)[rows.labels[:, 0].astype(int)]


def test_who_says_what_is_right_scores_all_and_costs_nothing(objective: TaskObjective, rows: TextPairDataset):
    figures = objective.figures(rows, right(objective, rows))
    (term,) = objective.weights
    assert figures[term] < 1e-6
    for name in objective.config.metrics:
        assert figures[name] == pytest.approx(1.0)


def test_a_model_that_has_diverged_scores_nothing(objective: TaskObjective, rows: TextPairDataset):
    said = right(objective, rows)
    said[0] = math.nan
    figures = objective.figures(rows, said)
    assert {figures[name] for name in objective.config.metrics} == {0.0}


def test_the_baseline_reads_nothing_and_scores_less(objective: TaskObjective, rows: TextPairDataset):
    found = objective.baseline(rows, rows)
    assert set(found) == set(objective.config.metrics)
    assert 0 <= found[objective.metric] < 0.9
    assert objective.baseline_name


def test_there_is_an_answer_to_each_row(objective: TaskObjective, rows: TextPairDataset):
    said = right(objective, rows)
    objective.fit_thresholds(rows, said)
    answers = list(objective.answers(rows, said))
    assert len(answers) == rows.count == 40
    assert all(answer["prediction"] == answer["label"] for answer in answers)
    json.dumps(answers)


def test_a_task_is_built_without_weights(case, family: dict, objective: TaskObjective, tokenizer: Tokenizer):
    with torch.device("meta"):
        shape = small.build(*case, tokenizer, **family)
    assert all(p.is_meta for p in shape.parameters())
    assert {n: p.shape for n, p in shape.named_parameters()} == {
        n: p.shape for n, p in objective.named_parameters()
    }


def test_the_best_checkpoint_is_that_with_the_highest_metric(objective: TaskObjective):
    assert objective.loss({objective.metric: 0.9}) < objective.loss({objective.metric: 0.8})
