"""ELECTRA's own properties, without an oracle."""

from pathlib import Path

import pytest
import torch
from torch import nn

from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.electra.config import Config
from nlptool.models.heads import MaskedLM, ReplacedTokenHead

SIZES = {
    "small": Config(layers=12, hidden=256, heads=4, embedding_size=128),
    "base": Config(layers=12, hidden=768, heads=12),
    "large": Config(layers=24, hidden=1024, heads=16),
}
SMALL = Config(layers=2, hidden=16, heads=2, embedding_size=8, max_positions=12)


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "encoder", "with_head"),
    [
        ("small", 13_483_008, 13_549_057),
        ("base", 108_891_648, 109_483_009),
        ("large", 334_092_288, 335_142_913),
    ],
)
def test_published_discriminators_have_their_parameter_counts(
    name: str, encoder: int, with_head: int
) -> None:
    with torch.device("meta"):
        model, head = SIZES[name].build(30522), ReplacedTokenHead(SIZES[name].hidden)
    assert count(model) == encoder
    assert count(model, head) == with_head


def test_embeddings_are_projected_where_they_are_narrower_and_only_there() -> None:
    assert Config(hidden=16, heads=2).embedding_width == 16
    assert Config(layers=1, hidden=16, heads=2).build(20).layers.projection is None
    model = SMALL.build(20)
    assert model.word_embeddings.shape == (20, 8)
    assert model.layers.projection is not None
    assert model.layers.projection.weight.shape == (16, 8)
    assert model(Inputs(ids=torch.zeros(1, 5, dtype=torch.long))).shape == (1, 5, 16)


def test_an_untrained_discriminator_knows_nothing() -> None:
    torch.manual_seed(0)
    model, head = SMALL.build(20).eval(), ReplacedTokenHead(16)
    logits_BT = head(model(Inputs(ids=torch.randint(0, 20, (4, 12)))))
    assert logits_BT.shape == (4, 12)
    assert logits_BT.abs().max() < 0.05


@pytest.mark.parametrize("part", ["rtd", "mlm", None])
def test_what_is_written_is_read_back(part: str | None, tmp_path: Path) -> None:
    heads = {"rtd": ReplacedTokenHead(16), "mlm": MaskedLM.of(SMALL, 20)}
    module = nn.ModuleDict({"backbone": SMALL.build(20), **({part: heads[part]} if part else {})})
    state = module.state_dict()
    huggingface.save_pretrained(tmp_path, SMALL, state, {"pad": 3})
    config, vocab_size, again = huggingface.load_pretrained(tmp_path)
    assert (config, vocab_size) == (SMALL, 20)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)


def test_another_activation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "electra", "vocab_size": 20, "hidden_act": "gelu_new"}'
    )
    with pytest.raises(DataError, match='hidden_act is "gelu_new"; nlptool\'s ELECTRA has "gelu" only'):
        huggingface.load_pretrained(tmp_path)
