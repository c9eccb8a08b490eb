"""GPT-2's own properties, without an oracle."""

import pytest
import torch
from pydantic import ValidationError

from nlptool import flops
from nlptool.models.base import Inputs
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.model import GPT2

SMALL = Config(layers=2, hidden=32, heads=4, max_positions=16)


def small(dropout: float = 0.0) -> GPT2:
    torch.manual_seed(0)
    return SMALL.model_copy(update={"dropout": dropout, "attention_dropout": dropout}).build(50)


@pytest.mark.parametrize(
    ("layers", "hidden", "heads", "parameters"),
    [
        (12, 768, 12, 124_439_808),
        (24, 1024, 16, 354_823_168),
        (36, 1280, 20, 774_030_080),
        (48, 1600, 25, 1_557_611_200),
    ],
)
def test_published_sizes_have_their_parameter_counts(layers: int, hidden: int, heads: int, parameters: int):
    with torch.device("meta"):
        model = Config(layers=layers, hidden=hidden, heads=heads).build(50257)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_heads_must_divide_hidden():
    with pytest.raises(ValidationError, match=r"heads \(5\) must divide hidden \(32\)"):
        Config(hidden=32, heads=5)


@pytest.mark.parametrize("training", [True, False])
def test_no_token_sees_a_later_one_and_each_sees_all_before(training: bool):
    model = small(dropout=0.1).train(training)
    ids = torch.randint(0, 49, (1, 9))
    for changed in range(9):
        other = ids.clone()
        other[0, changed] = 49
        torch.manual_seed(1)
        before = model(Inputs(ids=ids))
        torch.manual_seed(1)
        differs = (model(Inputs(ids=other)) != before).any(-1)[0]
        assert differs.tolist() == [position >= changed for position in range(9)]


def test_a_row_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match="17 tokens, but the model has 16 positions"):
        small()(Inputs(ids=torch.zeros(1, 17, dtype=torch.long)))


def test_initial_weights_are_normal_with_deviations_by_their_place():
    model = Config(layers=8, hidden=128, heads=2).build(500)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            output = name.endswith(("out.weight", "down.weight"))
            std = 0.005 if output else 0.01 if "positions" in name else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.05), name
            assert parameter.abs().max() > 3 * std, name  # not cut
        else:
            assert parameter.eq(1.0 if "norm.weight" in name else 0.0).all(), name


def test_recomputed_activations_give_the_same_gradients_with_dropout():
    ids_BT = torch.randint(0, 50, (2, 7))
    slope_D = torch.randn(32)
    gradients = []
    for recompute in (False, True):
        model = small(dropout=0.2)
        model.layers.recompute = recompute
        torch.manual_seed(1)
        (model(Inputs(ids=ids_BT)) * slope_D).sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.parametrize("sizes", [[9], [1] * 9, [4, 1, 3, 1], [8, 1]])
def test_reading_in_parts_with_a_cache_gives_the_states_of_reading_at_once(sizes: list[int]):
    model = small().eval()
    ids = torch.randint(0, 50, (3, 9))
    cache = model.cache(3, 9)
    with torch.no_grad():
        parts = [model(Inputs(ids=part), cache) for part in ids.split(sizes, dim=1)]
        assert torch.allclose(torch.cat(parts, 1), model(Inputs(ids=ids)), atol=1e-6)


def test_rows_of_different_lengths_go_on_as_if_each_were_alone():
    model = small().eval()
    ids, after = torch.randint(0, 50, (3, 6)), torch.randint(0, 50, (3, 2))
    lengths = torch.tensor([6, 1, 4])
    cache = model.cache(3, 8)
    with torch.no_grad():
        model(Inputs(ids=ids), cache)
        cache.cut(lengths)
        together = model(Inputs(ids=after), cache)
        for row, length in enumerate(lengths.tolist()):
            alone = model(Inputs(ids=torch.cat((ids[row : row + 1, :length], after[row : row + 1]), 1)))
            assert torch.allclose(together[row], alone[0, -2:], atol=1e-6)


def test_a_prefix_read_once_serves_several_rows():
    model = small().eval()
    prefix, ends = torch.randint(0, 50, (2, 5)), torch.randint(0, 50, (3, 4))
    rows = torch.tensor([1, 0, 1])
    cache = model.cache(2, 9)
    with torch.no_grad():
        model(Inputs(ids=prefix), cache)
        states = model(Inputs(ids=ends), cache.take(rows))
        expected = model(Inputs(ids=torch.cat((prefix[rows], ends), 1)))[:, 5:]
        assert torch.allclose(states, expected, atol=1e-6)


def test_a_full_cache_is_an_error():
    model = small().eval()
    cache = model.cache(1, 4)
    with pytest.raises(ValueError, match="5 tokens in a cache with room for 4"):
        model(Inputs(ids=torch.zeros(1, 5, dtype=torch.long)), cache)
    assert model.cache(1, 99).columns == 16


def test_a_layer_costs_its_products():
    model, (rows, tokens, width) = small(), (3, 10, 32)
    with flops.counting() as count:
        model(Inputs(ids=torch.zeros(rows, tokens, dtype=torch.long)))
    layer = 2 * rows * tokens * 12 * width * width + 2 * 2 * rows * tokens * tokens * width
    assert count.operations == 2 * layer
