"""FLOPs of a forward pass against sums by hand."""

import pytest
import torch

from nlptool import flops
from nlptool.models.base import Encoder, Inputs
from nlptool.models.bert.config import Config
from nlptool.models.heads import MaskedLM

B, T, K, D, V = 3, 10, 2, 16, 50  # rows, tokens, masked tokens, width, vocabulary
LAYER = (
    2 * B * T * 12 * D * D + 2 * 2 * B * T * T * D
)  # four products of D x D, two of D x 4D; scores and values


def counted(model: Encoder, inputs: Inputs) -> int:
    with flops.counting() as count:
        model(inputs)
    return count.operations


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("recompute", [False, True])
def test_a_layer_is_its_products_whichever_kernel_carries_them_out(dropout: float, recompute: bool) -> None:
    model = Config(layers=3, hidden=D, heads=2, attention_dropout=dropout, max_positions=T).build(V)
    model.layers.recompute = recompute
    assert counted(model, Inputs(ids=torch.zeros(B, T, dtype=torch.long))) == 3 * LAYER


def test_what_the_last_layer_leaves_out_is_not_counted() -> None:
    model = Config(layers=2, hidden=D, heads=2, max_positions=T).build(V)
    ids, at = torch.zeros(B, T, dtype=torch.long), torch.zeros(B, K, dtype=torch.long)
    keys_and_values = 2 * B * T * 2 * D * D
    asked = 2 * B * K * 10 * D * D + 2 * 2 * B * K * T * D
    assert counted(model, Inputs(ids=ids, output_positions=at)) == LAYER + keys_and_values + asked


def test_the_head_is_two_products() -> None:
    head = MaskedLM(D, D, V, "gelu")
    with flops.counting() as count:
        head.loss(torch.zeros(B, K, D), torch.zeros(V, D), torch.zeros(B, K, dtype=torch.long))
    assert count.operations == 2 * B * K * (D * D + D * V)


def test_nothing_is_counted_outside() -> None:
    with flops.counting() as count:
        pass
    MaskedLM(D, D, V, "gelu")(torch.zeros(1, D), torch.zeros(V, D))
    assert count.operations == 0
