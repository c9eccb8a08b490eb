"""Rows as a prefix tree: shared prefixes are computed once, with the same results."""

import random

import pytest
import torch

from nlptool.evaluation.generation import prefix_tree
from nlptool.evaluation.generation.prefix_tree import build_prefix_tree, score_tokens
from nlptool.evaluation.requests import EncodedRequest, Scored, in_order, sum_scores
from nlptool.models.base import Inputs
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.model import GPT2

VOCAB, POSITIONS = 50, 64


@pytest.fixture(scope="module")
def model() -> GPT2:
    torch.manual_seed(0)
    return Config(layers=3, hidden=32, heads=4, max_positions=POSITIONS, init=0.3).build(VOCAB).eval()


@pytest.fixture(scope="module")
def pairs() -> list[EncodedRequest]:
    """Eight questions with four answers each, of five demonstrations in common; others that share less; one twice."""
    rng = random.Random(0)

    def some(least: int, most: int) -> list[int]:
        return [rng.randrange(VOCAB) for _ in range(rng.randint(least, most))]

    trunk = some(30, 30)
    found = [
        EncodedRequest([*trunk, *question], some(1, 5))
        for question in [some(3, 8) for _ in range(8)]
        for _ in range(4)
    ]
    found += [
        EncodedRequest(trunk[:7], some(1, 3)),
        EncodedRequest(trunk[:1], trunk[1:4]),
        EncodedRequest(some(60, 60), some(3, 5)),
    ]
    return [*found, found[3]]


def alone(model: GPT2, pair: EncodedRequest) -> Scored:
    """Read from the beginning, without a cache."""
    ids, answer = torch.tensor([[*pair.context, *pair.answer]]), torch.tensor(pair.answer)
    with torch.no_grad():
        logits = model(Inputs(ids=ids[:, :-1]))[0, -len(answer) :] @ model.word_embeddings.t()
    total = logits.log_softmax(-1).gather(1, answer[:, None]).sum().item()
    return Scored(total, len(answer), bool((logits.argmax(-1) == answer).all()))


def scored(model: GPT2, pairs: list[EncodedRequest]) -> list[Scored]:
    return in_order(sum_scores(score_tokens(model, pairs), pairs))


def test_a_tree_has_what_rows_share_once_and_is_in_preorder():
    """1 2 5, 1 2 4 and 1 3; the last token of an answer is not read, and is asked for where the others end."""
    found = build_prefix_tree(
        [EncodedRequest([1, 2], [5, 9]), EncodedRequest([1, 2, 4], [8]), EncodedRequest([1], [3, 7])]
    )
    assert found.ids.tolist() == [1, 2, 4, 5, 3]
    assert found.depths.tolist() == [0, 1, 2, 2, 1]
    assert found.ends.tolist() == [5, 4, 3, 4, 5]
    asked = list(zip(found.nodes.tolist(), found.labels.tolist(), found.rows.tolist(), strict=True))
    assert asked == [(0, 3, 2), (1, 5, 0), (2, 8, 1), (3, 9, 0), (4, 7, 2)]


@pytest.mark.parametrize("nodes", [1, 5, 16, 256])
def test_every_answer_is_scored_as_if_it_were_alone(
    model: GPT2, pairs: list[EncodedRequest], nodes: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prefix_tree, "NODES", nodes)
    found, expected = scored(model, pairs), [alone(model, pair) for pair in pairs]
    assert [s.logprob for s in found] == pytest.approx([s.logprob for s in expected], abs=1e-4)
    assert [s[1:] for s in found] == [s[1:] for s in expected]


def test_the_order_of_requests_changes_no_bit(model: GPT2, pairs: list[EncodedRequest]):
    found = scored(model, pairs)
    order = random.Random(1).sample(range(len(pairs)), len(pairs))
    assert scored(model, [pairs[number] for number in order]) == [found[number] for number in order]


@pytest.mark.parametrize("size", [1, 4, 32])
def test_requests_in_batches_are_scored_alike(model: GPT2, pairs: list[EncodedRequest], size: int):
    found = [s for at in range(0, len(pairs), size) for s in scored(model, pairs[at : at + size])]
    assert [s.logprob for s in found] == pytest.approx([s.logprob for s in scored(model, pairs)], abs=2e-5)


def test_a_model_reads_no_node_twice(
    model: GPT2, pairs: list[EncodedRequest], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prefix_tree, "NODES", 16)
    read = []
    handle = model.embeddings.register_forward_hook(lambda module, ids, out: read.append(ids[0].shape[1]))
    scored(model, pairs)
    handle.remove()
    distinct = {
        tuple(row[:n]) for c, a, _ in pairs for row in [[*c, *a[:-1]]] for n in range(1, len(row) + 1)
    }
    assert sum(read) == len(distinct) < sum(len(c) + len(a) for c, a, _ in pairs) / 3
    assert set(read[:-1]) == {16}


def test_answers_are_known_while_others_are_still_to_be_read(
    model: GPT2, pairs: list[EncodedRequest], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prefix_tree, "NODES", 16)
    tokens = iter(score_tokens(model, pairs))
    number, first = next(sum_scores(tokens, pairs))
    assert first.logprob == pytest.approx(alone(model, pairs[number]).logprob, abs=1e-4)
    assert len(list(tokens)) > 50


def test_nothing_is_foretold_of_nothing(model: GPT2):
    assert list(score_tokens(model, [])) == []
    assert scored(model, [EncodedRequest([1], [])]) == [Scored(0.0, 0, True)]
