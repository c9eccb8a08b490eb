"""Packed models: the same logits for any number of rows, and no weights to train."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from nlptool.models.base import Inputs
from nlptool.models.gpt2.config import Config
from nlptool.models.kernels.onednn_packed import PackedLinear, packable
from nlptool.models.layers import Linear

pytestmark = pytest.mark.skipif(not packable(torch.zeros(1)), reason="a torch without oneDNN")


def test_a_packed_matrix_multiplies_as_before_for_any_number_of_rows():
    torch.manual_seed(0)
    weight, bias = torch.randn(75, 48), torch.randn(75)
    packed = PackedLinear(weight, bias)
    for rows in (1, 2, 7, 40, 171, 400):  # many are filled up to a multiple of some number
        x = torch.randn(rows, 3, 48)
        assert torch.allclose(packed(x), F.linear(x, weight, bias), atol=1e-5)
    x = torch.randn(5, 48)
    assert torch.allclose(PackedLinear(weight, None)(x), x @ weight.t(), atol=1e-5)


def test_a_packed_model_gives_the_same_logits_and_keeps_no_other_matrices():
    torch.manual_seed(0)
    model = Config(layers=2, hidden=48, heads=4, max_positions=40).build(200).eval()
    ids = torch.randint(0, 200, (3, 17))
    with torch.inference_mode():
        before = model.logits(model(Inputs(ids=ids)))
        model.pack()
        after = model.logits(model(Inputs(ids=ids)))
    assert torch.allclose(before, after, atol=1e-5)
    assert before.abs().max() > 0.1
    assert not [part for part in model.modules() if isinstance(part, Linear)]
    assert sum(p.numel() for p in model.parameters()) < 240 * 48 + 6 * 2 * 48
