"""TransE: the loss by hand, its gradient by autograd, ranks by brute force and by PyKEEN."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from facts import transe as facts
from torch.nn import functional as F  # noqa: N812

from nlptool.data.random_streams import RandomStreams
from nlptool.knowledge.graph import SPLITS, Triples
from nlptool.knowledge.ranking import KnownTriples, filtered_ranks, rank_figures, rank_sums, tail_shares
from nlptool.objectives.transe.config import Config
from nlptool.objectives.transe.objective import TransE


def objective(**settings) -> TransE:
    return tiny.build("transe", facts.SPARSE | settings)


def rows(made: TransE, number: int = 20):
    index = np.arange(number)
    examples = facts.examples().take(index, index, RandomStreams(0, 0))
    return made.collate(examples, RandomStreams(0, 0))


def by_hand(made: TransE, batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances without any of the shortcuts."""
    entity, relation = made.tables.entity, made.tables.relation
    if made.config.normalize != "none":
        entity = F.normalize(entity, dim=-1)
    if made.config.normalize == "all":
        relation = F.normalize(relation, dim=-1)

    def distance(h, r, t):
        return torch.linalg.vector_norm(entity[h] + relation[r] - entity[t], made.config.norm)

    near, far = [], []
    for (h, r, t), others, tails in zip(batch["ids"], batch["negatives"], batch["tail"], strict=True):
        near.append(distance(h, r, t))
        far.append(
            torch.stack(
                [
                    distance(h, r, e) if tail else distance(e, r, t)
                    for e, tail in zip(others, tails, strict=True)
                ]
            )
        )
    return torch.stack(near), torch.stack(far)


@pytest.mark.parametrize("normalize", ["none", "entities", "all"])
@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("loss", ["margin", "self_adversarial"])
@pytest.mark.parametrize("number", [1, 20])
def test_the_loss_and_its_gradient_are_those_of_the_papers(number, loss, norm, normalize):
    """The graph has more entities than one triple, and fewer than twenty: vectors are scaled where they are fewer."""
    made = objective(loss=loss, norm=norm, normalize=normalize, margin=2.0).double()
    batch = rows(made, number)
    assert (5 * number > len(facts.KNOWN.entities)) == (number == 20)
    near, far = by_hand(made, batch)
    if loss == "margin":
        expected = (2.0 + near[:, None] - far).clamp(min=0).sum()
        assert batch.counts == {"transe": number * 3}
    else:
        weight = torch.exp(-far) / torch.exp(-far).sum(1, keepdim=True)
        sigmoid = torch.sigmoid
        expected = -(sigmoid(2.0 - near).log() + (weight.detach() * sigmoid(far - 2.0).log()).sum(1)).sum()
        assert batch.counts == {"transe": number}
    wanted = torch.autograd.grad(expected, [made.tables.entity, made.tables.relation])
    found = made(batch)["transe"]
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    for one, other in zip(
        torch.autograd.grad(found, [made.tables.entity, made.tables.relation]), wanted, strict=True
    ):
        assert (one - other).abs().max() < 1e-10


def test_corrupted_triples_replace_head_or_tail_by_any_entity():
    made = objective(num_negatives=200)
    batch = rows(made, 200)
    assert batch["tail"].double().mean().item() == pytest.approx(0.5, abs=0.02)
    counts = torch.bincount(batch["negatives"].flatten(), minlength=len(facts.KNOWN.entities))
    assert counts.min() > 0.8 * counts.double().mean()


def test_bernoulli_replaces_the_side_that_has_fewer_true_ones():
    # Relation 0: one head with three tails; relation 1: three heads with one tail, relation 2 has no triple.
    triples = Triples(*np.array([[0, 0, 0, 1, 2, 3], [0, 0, 0, 1, 1, 1], [1, 2, 3, 0, 0, 0]], np.int32))
    assert tail_shares(triples, 3).tolist() == [1 / (1 + 3), 3 / (1 + 3), 0.5]


def brute(made: TransE, triples) -> list[float]:
    """Ranks of tails, then of heads, one by one."""
    known = {
        row
        for split in SPLITS
        for row in zip(*map(np.ndarray.tolist, facts.KNOWN.triples(split)), strict=True)
    }
    entity = made.tables.entities()
    relation = made.tables.relations()
    number = len(entity)

    def distance(h, r, t):
        return (entity[h] + relation[r] - entity[t]).abs().sum().item()

    found = []
    for side in (2, 0):
        for triple in triples:

            def put(e, triple=triple, side=side):
                return tuple(e if place == side else value for place, value in enumerate(triple))

            others = [put(e) for e in range(number) if put(e) not in known]
            true = distance(*triple)
            better = sum(distance(*other) < true for other in others)
            equal = sum(distance(*other) == true for other in others)
            found.append(1 + better + equal / 2)
    return found


def test_ranks_are_those_of_brute_force_with_ties_that_count_half():
    made = objective(normalize="none")
    with torch.no_grad():  # whole numbers, so that sums are exact and ties many
        made.tables.entity.copy_(torch.randint(0, 3, made.tables.entity.shape)[:, :1].expand(-1, 32))
        made.tables.relation.copy_(torch.randint(-1, 2, made.tables.relation.shape)[:, :1].expand(-1, 32))
    triples = np.stack(facts.KNOWN.triples("test"), 1).astype(np.int64)
    ranks = made.ranks(torch.from_numpy(triples))
    assert ranks.flatten().tolist() == brute(made, triples.tolist())
    assert (ranks % 1 == 0.5).any()


def test_figures_are_means_over_heads_and_tails():
    ranks = torch.tensor([[1.0, 2.5], [4.0, 11.0]], dtype=torch.float64)
    sums = rank_sums(ranks)
    assert rank_figures({name: 2 * value for name, value in sums.items()}) == pytest.approx(
        {
            "mrr": (1 + 1 / 2.5 + 1 / 4 + 1 / 11) / 4,
            "mean_rank": 18.5 / 4,
            "hits_at_1": 1 / 4,
            "hits_at_3": 2 / 4,
            "hits_at_10": 3 / 4,
        }
    )


def test_a_model_that_says_the_same_of_all_has_the_rank_of_chance_and_one_that_says_nan_the_last():
    triples = torch.from_numpy(np.stack(facts.KNOWN.triples("test"), 1).astype(np.int64))
    number, known = len(facts.KNOWN.entities), KnownTriples(facts.KNOWN)

    def same(value: float):
        return lambda given, _: torch.full((len(given), number), value)

    chance = filtered_ranks(triples, known, same(1.0), same(1.0), number)
    last = filtered_ranks(triples, known, same(torch.nan), same(torch.nan), number)
    left = [number - len({*known.tails(np.array([h]), np.array([r]))[1]}) + 1 for h, r, _ in triples.tolist()]
    assert chance[0].tolist() == [(candidates + 1) / 2 for candidates in left]
    assert (last >= 1).all()


def test_ranks_do_not_depend_on_how_many_scores_are_held(monkeypatch):
    made = objective()
    triples = torch.from_numpy(np.stack(facts.KNOWN.triples("test"), 1).astype(np.int64))
    whole = made.ranks(triples)
    monkeypatch.setattr("nlptool.knowledge.ranking.AT_ONCE", 3 * len(facts.KNOWN.entities))
    assert torch.equal(made.ranks(triples), whole)


@pytest.mark.parametrize("norm", [1, 2])
def test_pykeen_gives_the_same_figures_for_the_same_vectors(norm: int, tmp_path: Path):
    pykeen = pytest.importorskip("pykeen.evaluation")
    from pykeen.models import TransE as Theirs
    from pykeen.triples import TriplesFactory

    made = objective(norm=norm, normalize="none")
    factories = [
        TriplesFactory(
            torch.from_numpy(np.stack(facts.KNOWN.triples(split), 1).astype(np.int64)),
            {name: number for number, name in enumerate(facts.KNOWN.entities)},
            {name: number for number, name in enumerate(facts.KNOWN.relations)},
        )
        for split in SPLITS
    ]
    theirs = Theirs(triples_factory=factories[0], embedding_dim=32, scoring_fct_norm=norm)
    theirs.entity_representations[0]._embeddings.weight.data.copy_(made.tables.entity.data)
    theirs.relation_representations[0]._embeddings.weight.data.copy_(made.tables.relation.data)
    result = pykeen.RankBasedEvaluator().evaluate(
        theirs,
        factories[2].mapped_triples,
        additional_filter_triples=[one.mapped_triples for one in factories[:2]],
        use_tqdm=False,
    )
    ours = rank_figures(rank_sums(made.ranks(factories[2].mapped_triples)))
    names = {
        "mrr": "mean_reciprocal_rank",
        "mean_rank": "mean_rank",
        "hits_at_1": "hits_at_1",
        "hits_at_10": "hits_at_10",
    }
    for name, called in names.items():
        assert ours[name] == pytest.approx(result.get_metric(f"both.realistic.{called}"), abs=5e-7), name


def test_a_temperature_without_its_loss_changes_nothing_and_is_told():
    assert "adversarial_temperature" in Config(name="transe").idle()
    assert Config(name="transe", loss="self_adversarial").idle() == {}
