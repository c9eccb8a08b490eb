"""What a net computes on its way, against transformers: every hidden state, every attention before its softmax."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nlptool import flops, registry
from nlptool.models import huggingface
from nlptool.models.base import Inputs

transformers = pytest.importorskip("transformers")

VOCAB, TOKENS, LAYERS = 200, 12, 3
SHAPE = {"layers": LAYERS, "hidden": 32, "heads": 4, "positions": 20}
BLOCKS: dict[str, dict[str, Any]] = {
    "albert": SHAPE | {"embedding": 16, "dropout": 0.1},
    "bert": SHAPE,
    "distilbert": SHAPE,
    "electra": SHAPE | {"embedding": 16},
    "gpt2": SHAPE,
}
every_family = pytest.mark.parametrize("name", BLOCKS)


def net(name: str) -> nn.Module:
    """With all weights away from their first values, so that a forgotten norm shows."""
    torch.manual_seed(0)
    block = registry.config("models", name).model_validate({"name": name} | BLOCKS[name])
    made: nn.Module = block.build(VOCAB)
    for parameter in made.parameters():
        nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)
    return made


def inputs(name: str) -> tuple[Inputs, Tensor]:
    """What the net takes, and which tokens are real; a decoder's rows have no padding."""
    ids_BT, lengths_B = torch.randint(1, VOCAB, (2, TOKENS)), torch.tensor([TOKENS, 7])
    if name == "gpt2":
        return Inputs(ids=ids_BT), torch.ones(2, TOKENS, dtype=torch.bool)
    return Inputs(ids=ids_BT, lengths=lengths_B), torch.arange(TOKENS) < lengths_B[:, None]


@every_family
def test_states_and_scores_are_those_of_transformers(name: str, tmp_path: Any) -> None:
    made = net(name).eval()
    (given, real_BT), every = inputs(name), range(1, LAYERS + 1)
    state = {f"backbone.{key}": tensor for key, tensor in made.state_dict().items()}
    pad = {"pad": 0, "eos": 0}
    huggingface.save_pretrained(tmp_path, made.config, state, pad)
    theirs = transformers.AutoModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    with torch.no_grad():
        trace = made.trace(given, scores=every)
        said = theirs(
            given.ids, attention_mask=real_BT.long(), output_hidden_states=True, output_attentions=True
        )
    assert len(trace.states) == len(said.hidden_states) == LAYERS + 1
    for own, other in zip(trace.states, said.hidden_states, strict=True):
        assert (own - other)[real_BT].abs().max() < 1e-5
    seen_B1TT = real_BT[:, None, None, :].expand(-1, 1, TOKENS, -1)
    if name == "gpt2":
        seen_B1TT = seen_B1TT & torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()
    for layer, other in zip(every, said.attentions, strict=True):
        own = trace.scores[layer].where(seen_B1TT, -torch.inf).softmax(-1)
        assert own.shape == other.shape
        assert (own - other).transpose(1, 2)[real_BT].abs().max() < 1e-6


@every_family
def test_its_last_state_is_the_output_bit_by_bit_also_with_dropout(name: str) -> None:
    """Of rows without padding: rows with it lie end to end in a forward pass, and draw other dropout."""
    made, (given, _) = net(name).train(), inputs(name)
    torch.manual_seed(1)
    expected = made(Inputs(ids=given.ids))
    torch.manual_seed(1)
    trace = made.trace(Inputs(ids=given.ids), scores=(2,))
    assert torch.equal(trace.states[-1], expected)
    assert list(trace.scores) == [2]


@every_family
def test_recomputed_layers_have_the_same_gradients_of_states_and_scores(name: str) -> None:
    made, (given, _) = net(name).train(), inputs(name)
    gradients = []
    for recompute in (False, True):
        made.layers.recompute = recompute
        torch.manual_seed(1)
        trace = made.trace(given, scores=(1, 3))
        made.zero_grad()
        (trace.states[2].sin().sum() + trace.scores[1].sin().sum() + trace.scores[3].sin().sum()).backward()
        gradients.append([p.grad for p in made.parameters() if p.grad is not None])
    for one, two in zip(*gradients, strict=True):
        assert torch.equal(one, two)


def test_scores_cost_one_product_more() -> None:
    made, (given, _) = net("bert").eval(), inputs("bert")
    given = Inputs(ids=given.ids)
    with flops.counting() as plain:
        made(given)
    with flops.counting() as traced:
        made.trace(given)
    assert traced.operations == plain.operations
    with flops.counting() as scored:
        made.trace(given, scores=(1, 2))
    assert scored.operations - plain.operations == 2 * (2 * 2 * TOKENS * 32 * TOKENS)
