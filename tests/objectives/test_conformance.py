"""What holds for every objective. An objective is found by its folder; nothing here names its class.

What must be known of it is in facts/NAME.py: MODEL, the model to try it with (without dropout); VARIANTS, settings
worth a run of their own; AT_INIT, the loss of each term before anything is learnt, in nats per prediction; HIDES,
whether tokens are hidden from the model. And, where they are needed: TEACHER, a model to learn from, with weights from
TEACHER_SEED; WITHIN, how far AT_INIT may be off; BY_HEART, settings to learn eight examples by heart with.
An objective that reads a graph has no MODEL; its facts have GRAPH, `build`, `examples` and `recipe`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import batch_keys
import numpy as np
import pytest
import references
import tiny
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool import flops, registry
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.models import huggingface
from nlptool.models.embeddings import Embeddings
from nlptool.objectives.base import Objective
from nlptool.text.store import Split

READS_TEXT = registry.objectives("tokens")
CASES = [(name, variant) for name in registry.names("objectives") for variant in tiny.facts(name).VARIANTS]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case[0], *case[1]]))
def case(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param


@pytest.fixture
def objective(case) -> Objective:
    return tiny.build(*case)


@pytest.fixture
def batch(objective: Objective, split: Split) -> Batch:
    return tiny.batches(objective, split).get(0)[0]


def loss(objective: Objective, micro_batches: list[Batch]) -> Tensor:
    """As the trainer does: weighted sums over the counts of all micro-batches."""
    total = {term: sum(b.counts[term] for b in micro_batches) for term in objective.weights}
    return sum(
        objective.weights[term] * value / total[term]
        for b in micro_batches
        for term, value in objective(b).items()
    )


def single_rows(batch: Batch) -> list[Batch]:
    return [
        replace(batch, tensors={name: t[row : row + 1] for name, t in batch.tensors.items()}, tokens=0)
        for row in range(len(batch["ids"]))
    ]


def test_every_term_has_a_weight_and_a_positive_count(objective: Objective, batch: Batch):
    sums = objective(batch)
    assert set(sums) == set(objective.weights) == set(batch.counts)
    assert all(count > 0 for count in batch.counts.values())
    assert all(weight > 0 for weight in objective.weights.values())
    assert all(value.shape == () for value in sums.values())


def test_every_key_of_a_batch_is_documented_with_its_shape(objective: Objective, batch: Batch):
    assert batch_keys.undocumented(objective, batch) == []


def test_tokens_counts_what_is_not_padding(case, batch: Batch):
    if case[0] not in READS_TEXT:
        assert batch.tokens == len(batch["ids"])
        return
    assert batch.tokens == int((batch["ids"] != tiny.SPECIAL["pad"]).sum())


def test_before_training_the_loss_is_that_of_knowing_nothing(case, objective: Objective, split: Split):
    if case[0] not in READS_TEXT:
        pytest.skip("its loss depends on random distances; its own tests compute it")
    source = tiny.batches(objective, split)
    sums, counts = dict.fromkeys(objective.weights, 0.0), dict.fromkeys(objective.weights, 0)
    for n in range(4):
        (batch,) = source.get(n)
        for term, value in objective(batch).items():
            sums[term] += value.item()
            counts[term] += batch.counts[term]
    facts = tiny.facts(case[0])
    for term in objective.weights:
        assert sums[term] / counts[term] == pytest.approx(
            facts.AT_INIT[term], abs=getattr(facts, "WITHIN", 0.03)
        )


def test_padding_neither_costs_nor_changes_anything(objective: Objective, batch: Batch):
    if "lengths" not in batch:
        pytest.skip("rows of this objective are never padded")
    objective.double()
    tensors = dict(batch.tensors)
    wide = {name: F.pad(tensors[name], (0, 9), value=7) for name in ("ids", "types") if name in tensors}
    wide["types"] = wide["types"].clamp(max=1)
    padded = replace(batch, tensors=tensors | wide)
    other = dict(batch.tensors)
    behind = torch.arange(tiny.LENGTH) >= other["lengths"][:, None]
    assert behind.any()
    other["ids"] = torch.where(behind, 9, other["ids"])
    expected = objective(batch)
    for changed in (padded, replace(batch, tensors=other)):
        for term, value in objective(changed).items():
            assert value.item() == pytest.approx(expected[term].item(), rel=1e-12)


def test_a_row_costs_the_same_alone_and_among_others(objective: Objective, batch: Batch):
    objective.double()
    whole = objective(batch)
    alone = [objective(row) for row in single_rows(batch)]
    for term in objective.weights:
        assert sum(sums[term].item() for sums in alone) == pytest.approx(whole[term].item(), rel=1e-12)


def test_what_is_hidden_cannot_be_seen(case, objective: Objective, split: Split):
    if not tiny.facts(case[0]).HIDES:
        pytest.skip("this objective hides no token")
    examples = objective.examples(split, tiny.LENGTH, 0)
    draws, indices = RandomStreams(0, 0), np.arange(8)
    seen = []
    for part in objective.backbone.modules():
        if isinstance(part, Embeddings):
            part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    rows = examples.take(indices, indices * 0, draws)
    batch = objective.collate(rows, draws)
    if "labels" not in batch:
        pytest.skip("this variant hides no token")
    masked = batch["ids"].numpy() == tiny.SPECIAL["mask"]
    assert masked.any()
    hidden = rows.ids.copy()
    rows.ids[masked] = tiny.twin(rows.ids[masked])
    assert (rows.ids != hidden).sum() == masked.sum() > 0
    other = objective.collate(rows, draws)
    first, second = objective(batch), objective(other)
    half = [one for inputs in seen[: len(seen) // 2] for one in inputs]
    for one, two in zip(half, [two for inputs in seen[len(seen) // 2 :] for two in inputs], strict=True):
        assert (one is None and two is None) or torch.equal(one, two)
    assert any(first[term] != second[term] for term in first)


def test_the_same_seed_gives_the_same_batch_and_another_seed_another(objective: Objective, split: Split):
    first, again = (tiny.batches(objective, split, seed=1).get(5)[0] for _ in range(2))
    other = tiny.batches(objective, split, seed=2).get(5)[0]
    assert tiny.rows_of(first) == tiny.rows_of(again)
    assert tiny.rows_of(first) != tiny.rows_of(other)


def test_masks_and_order_change_from_step_to_step(objective: Objective, split: Split):
    source = tiny.batches(objective, split)
    assert tiny.rows_of(source.get(0)[0]) != tiny.rows_of(source.get(1)[0])


@pytest.mark.parametrize("accumulate", [2, 4])
def test_gradients_do_not_depend_on_accumulation(objective: Objective, split: Split, accumulate: int):
    objective.double()
    gradients = []
    for parts in (1, accumulate):
        objective.zero_grad()
        loss(objective, tiny.batches(objective, split, accumulate=parts).get(3)).backward()
        gradients.append([p.grad.clone() for p in objective.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(list(objective.parameters()))
    for one, two in zip(*gradients, strict=True):
        assert (one - two).abs().max() < 1e-9


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_rows_and_masks_do_not_depend_on_ranks(
    objective: Objective, split: Split, world: int, accumulate: int
):
    for n in (0, 7):
        (whole,) = tiny.batches(objective, split).get(n)
        cut = [
            part
            for rank in range(world)
            for part in tiny.batches(objective, split, rank=rank, world=world, accumulate=accumulate).get(n)
        ]
        assert [row for part in cut for row in tiny.rows_of(part)] == tiny.rows_of(whole)
        for term in whole.counts:
            assert sum(part.counts[term] for part in cut) == whole.counts[term]
        assert sum(part.tokens for part in cut) == whole.tokens


def test_eight_examples_are_learnt_by_heart(case, batch: Batch):
    name, variant = case
    objective = tiny.build(name, variant | getattr(tiny.facts(name), "BY_HEART", {}))
    optimizer = torch.optim.Adam(objective.parameters(), lr=5e-3)
    # Until it is learnt: after how many steps that is depends on how a processor rounds.
    for step in range(1, 801):
        optimizer.zero_grad()
        loss(objective, [batch]).backward()
        optimizer.step()
        if step % 20 == 0 and not (left := _not_learnt(objective, batch, tiny.facts(name).AT_INIT)):
            return
    pytest.fail(f"not learnt in {step} steps: {left}")


def _not_learnt(objective: Objective, batch: Batch, at_init: dict[str, float]) -> dict[str, float]:
    """Figures of terms that are not below a tenth of what they were, or not right on all but one of 192 tokens."""
    figures = objective.eval().summary(objective.measure(batch), batch.counts)
    objective.train()
    right = {name: figures.get(name, 1.0) for name in (f"{term}_accuracy" for term in objective.weights)}
    slow = {term: figures[term] for term in objective.weights if figures[term] >= 0.1 * at_init[term]}
    return slow | {name: share for name, share in right.items() if share <= 0.99}


def test_held_out_figures_are_means_of_the_same_losses(objective: Objective, batch: Batch):
    objective.eval()
    sums = objective(batch)
    figures = objective.summary(objective.measure(batch), batch.counts)
    for term in objective.weights:
        assert figures[term] == pytest.approx(sums[term].item() / batch.counts[term], rel=1e-5)
        assert 0 <= figures.get(f"{term}_accuracy", 0.0) <= 1


def test_an_accuracy_on_no_link_is_none():
    made = tiny.build("ernie", {"next_sentence": False})
    names = ("mlm", "mlm_correct", "dea", "dea_correct", "dea_commonest")
    parts = ("dea_dropped", "dea_dropped_right", "dea_replaced", "dea_replaced_right")
    totals = {name: torch.tensor(0.0) for name in (*names, *parts)} | {"mlm": torch.tensor(6.0)}
    assert made.summary(totals, {"mlm": 2, "dea": 0}) == {"mlm": 3.0, "mlm_accuracy": 0.0, "dea": 0.0}
    totals |= {"dea_correct": torch.tensor(1.0), "dea_dropped": torch.tensor(4.0)}
    figures = made.summary(totals | {"dea_dropped_right": torch.tensor(1.0)}, {"mlm": 2, "dea": 5})
    assert (figures["dea_accuracy"], figures["dea_majority"], figures["dea_dropped_accuracy"]) == (
        0.2,
        0.0,
        0.25,
    )
    assert "dea_replaced_accuracy" not in figures


def test_as_much_arithmetic_is_counted_with_a_gradient_as_without(objective: Objective, batch: Batch):
    with flops.counting() as trained:
        loss(objective, [batch]).backward()  # the backward pass counts nothing
    with torch.no_grad(), flops.counting() as looked_at:
        objective(batch)
    assert trained.operations == looked_at.operations > 0


def test_weights_come_back_from_a_file(case, batch: Batch, tmp_path: Path):
    trained, fresh = tiny.build(*case, seed=1), tiny.build(*case, seed=2)
    assert any(trained(batch)[term] != fresh(batch)[term] for term in trained.weights)
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    for term, value in trained(batch).items():
        assert fresh(batch)[term].item() == value.item()


def test_the_backbone_is_stored_under_its_name(case, objective: Objective):
    if case[0] not in READS_TEXT:
        pytest.skip("there is no model, only tables")
    own = {f"backbone.{name}" for name in objective.backbone.state_dict()}
    assert own == {name for name in objective.state_dict() if name.startswith("backbone.")}
    assert own


def test_an_objective_is_built_and_makes_batches_without_weights(case, split: Split):
    with torch.device("meta"):
        shape = tiny.build(*case)
    assert all(parameter.is_meta for parameter in shape.parameters())
    weighty = tiny.build(*case)
    assert sum(p.numel() for p in shape.parameters()) == sum(p.numel() for p in weighty.parameters())
    assert tiny.rows_of(tiny.batches(shape, split).get(0)[0]) == tiny.rows_of(
        tiny.batches(weighty, split).get(0)[0]
    )


def test_each_exported_folder_loads_in_the_class_that_it_names(case, objective: Objective, tmp_path: Path):
    if case[0] not in READS_TEXT:
        pytest.skip("transformers has no class for it")
    pytest.importorskip("transformers")
    for name, made in objective.folders(objective.backbone.config).items():
        folder = tmp_path / (name or "final")
        folder.mkdir()
        huggingface.save_pretrained(
            folder, made.config, made.state, tiny.SPECIAL, made.settings, made.architecture
        )
        bare = {"add_pooling_layer": False} if made.architecture == "Model" and made.config.pooled else {}
        kind = getattr(references.classes(made.config.name), made.config.hf().class_name(made.architecture))
        _, told = kind.from_pretrained(folder, output_loading_info=True, **bare)
        assert not any(told.values()), told
