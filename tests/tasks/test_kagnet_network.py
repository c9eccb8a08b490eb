"""KagNet's network against the released class (INK-USC/KagNet), run on three small schema graphs."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from nlptool.tasks.kagnet.network import KagNet, SchemaGraphs, softmax_by_group

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "kagnet.safetensors"
NAMES = {
    "graph_encoder.gcn1.apply_mod.linear": "gcn.0",
    "graph_encoder.gcn2.apply_mod.linear": "gcn.1",
    "relation_emd": "relations",
    "lstm": "lstm",
    "qas_encoder.0": "pair_in",
    "qas_encoder.3": "pair_out",
    "qas_pathlstm_att": "path_query",
    "sent_ltrel_att": "pair_query",
    "hidden2output.0": "out",
}


@pytest.fixture
def golden() -> dict[str, Tensor]:
    if not GOLDEN.is_file():
        pytest.skip(f"no {GOLDEN}")
    return load_file(GOLDEN)


def model_of(state: dict[str, Tensor]) -> KagNet:
    made = KagNet(
        5, 10, 12, gcn=(7, 5), path_size=6, pair_size=8, hidden=16, dropout=0.0,
        path_attention=True, pair_attention=True,
    )  # fmt: skip
    own = {
        f"{ours}.{key.removeprefix(f'{theirs}.')}": tensor
        for key, tensor in state.items()
        for theirs, ours in NAMES.items()
        if key.startswith(f"{theirs}.")
    }
    made.load_state_dict(own)
    return made.eval()


def inputs_of(golden: dict[str, Tensor]) -> tuple[Tensor, SchemaGraphs]:
    """The released code fills paths up with concept 0, and reads the LSTM there, too: as if it were of the path."""
    nodes = golden["in.nodes"].tolist()
    at = {concept: place for place, concept in enumerate(nodes)} | {0: len(nodes)}
    edges = golden["in.edges_undirected"].T
    pairs = golden["in.pairs"].tolist()
    none = len(nodes) + 1
    graphs = SchemaGraphs(
        edges=torch.cat([edges, edges.flip(0)], 1),
        pairs=torch.tensor([[at[q], at[a]] for _, q, a in pairs] + [[none, none]]),
        statements=torch.tensor([s for s, _, _ in pairs] + [2]),
        paths=torch.tensor([[at[c] for c in path] for path in golden["in.path_concepts"].tolist()]),
        relations=golden["in.path_relations"],
        path_lengths=torch.full((4,), 3),
        owners=torch.tensor([0, 0, 1, 2]),
    )
    table = golden["state.concept_emd.weight"]
    return torch.cat([table[golden["in.nodes"]], table[:1]]), graphs


def test_scores_and_attentions_are_those_of_the_released_class(golden: dict[str, Tensor]):
    state = {key.removeprefix("state."): value for key, value in golden.items() if key.startswith("state.")}
    concepts, graphs = inputs_of(golden)
    scores, attention = model_of(state).explained(concepts, graphs, golden["in.statement"])
    assert (scores.sigmoid() - golden["out.score_sigmoid"]).abs().max() < 1e-6
    assert (attention.paths - golden["out.path_attention"]).abs().max() < 1e-6
    assert (attention.pairs - golden["out.pair_attention"]).abs().max() < 1e-6


@pytest.mark.parametrize("part", ["path_query", "pair_query", "gcn"])
def test_each_part_has_a_say(golden: dict[str, Tensor], part: str):
    state = {key.removeprefix("state."): value for key, value in golden.items() if key.startswith("state.")}
    concepts, graphs = inputs_of(golden)
    network = model_of(state)
    with torch.no_grad():
        for parameter in getattr(network, part).parameters():
            parameter.mul_(-2)
    changed = network(concepts, graphs, golden["in.statement"])
    assert (changed.sigmoid() - golden["out.score_sigmoid"]).abs().max() > 1e-4


def test_without_attention_paths_and_pairs_count_alike(golden: dict[str, Tensor]):
    concepts, graphs = inputs_of(golden)
    network = KagNet(
        5, 10, 12, gcn=(), path_size=6, pair_size=8, dropout=0.0, path_attention=False, pair_attention=False
    )
    _, attention = network.explained(concepts, graphs, golden["in.statement"])
    assert attention.paths.tolist() == [0.5, 0.5, 1, 1]
    assert attention.pairs.tolist() == [0.5, 0.5, 1, 1]


def test_a_softmax_by_group_is_one_softmax_a_group():
    logits = torch.tensor([1.0, 300.0, -2.0, 299.0, 0.5])
    group = torch.tensor([2, 0, 2, 0, 1])
    found = softmax_by_group(logits, group, 4)
    for number in range(3):
        assert torch.allclose(found[group == number], logits[group == number].softmax(0))
