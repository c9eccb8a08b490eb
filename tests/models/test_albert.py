"""ALBERT's own properties, without an oracle: sizes and parameter sharing."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.albert.config import Config
from nlptool.models.base import Inputs
from nlptool.models.heads import MaskedLM, Pooler, SegmentPairHead
from nlptool.models.layer_sharing import unshare_layers
from nlptool.train import checkpoint
from nlptool.train.config import Optimizer
from nlptool.train.optim import Adam
from nlptool.train.trainer import State

SMALL = {"layers": 4, "hidden": 16, "heads": 2, "embedding_size": 8, "max_positions": 16}
SHARES = [
    {"share": "none"},
    {"share": "attention"},
    {"share": "ffn"},
    {"share": "all"},
    {"share": "attention", "groups": 2},
    {"share": "all", "groups": 2},
]


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def sizes(config: Config) -> tuple[int, int]:
    """Parameters of encoder and pooler, and with both heads, at ALBERT's vocabulary."""
    with torch.device("meta"):
        model, pooler = config.build(30000), Pooler(config.hidden)
        mlm, pair = MaskedLM.of(config, 30000), SegmentPairHead(config.hidden)
    return count(model, pooler), count(model, pooler, mlm, pair)


@pytest.mark.parametrize(
    ("layers", "hidden", "heads", "encoder", "with_heads"),
    [
        pytest.param(12, 768, 12, 11_683_584, 11_813_810, id="base"),
        pytest.param(24, 1024, 16, 17_683_968, 17_847_474, id="large"),
        pytest.param(24, 2048, 16, 58_724_864, 59_021_490, id="xlarge"),
        pytest.param(12, 4096, 64, 222_595_584, 223_158_450, id="xxlarge"),
    ],
)
def test_published_sizes_have_their_parameter_counts(
    layers: int, hidden: int, heads: int, encoder: int, with_heads: int
) -> None:
    assert sizes(Config(layers=layers, hidden=hidden, heads=heads)) == (encoder, with_heads)


# One layer of width 768, each with its norm: four matrices; two matrices.
ATTENTION = 4 * (768 * 768 + 768) + 2 * 768
FFN = 768 * 3072 + 3072 + 3072 * 768 + 768 + 2 * 768


@pytest.mark.parametrize(
    ("share", "more", "narrow", "wide"),  # the last two: millions in table 4 of the paper
    [
        ("all", 0, 12, 31),
        ("attention", 11 * FFN, 64, 83),
        ("ffn", 11 * ATTENTION, 38, 57),
        ("none", 11 * (ATTENTION + FFN), 89, 108),
    ],
)
def test_sharing_saves_the_parameters_of_table_4(share: str, more: int, narrow: int, wide: int) -> None:
    small, _ = sizes(Config.model_validate({"share": share}))
    large, _ = sizes(Config.model_validate({"share": share, "embedding_size": 768}))
    assert small == 11_683_584 + more
    assert large == 31_705_344 + more  # with the matrix behind the embeddings
    assert small == pytest.approx(1e6 * narrow, abs=0.7e6)
    assert large - (768 * 768 + 768) == pytest.approx(1e6 * wide, abs=1.2e6)


def test_groups_must_divide_layers_and_mean_something() -> None:
    with pytest.raises(ValidationError, match=r"groups \(5\) must divide layers \(12\)"):
        Config(groups=5)
    with pytest.raises(ValidationError, match="groups means nothing where share is none"):
        Config(share="none", groups=2)


@pytest.mark.parametrize("settings", SHARES, ids=str)
def test_a_shared_model_is_an_unshared_one_whose_layers_hold_equal_weights(
    settings: dict[str, object],
) -> None:
    torch.manual_seed(0)
    config = Config.model_validate(SMALL | settings)
    shared = config.build(40).double()
    alone = Config.model_validate(SMALL | {"share": "none"}).build(40).double()
    origins: dict[str, list[str]] = {name: [] for name in shared.state_dict()}
    state: dict[str, Tensor] = {}
    for name in alone.state_dict():
        origin = origin_of(name, config)
        origins[origin].append(name)
        state[name] = shared.state_dict()[origin]
    alone.load_state_dict(state)

    ids_BT, lengths_B = torch.randint(0, 40, (3, 9)), torch.tensor([9, 4, 7])
    slope_BTD = torch.randn(3, 9, 16, dtype=torch.float64)
    one, other = (model(Inputs(ids=ids_BT, lengths=lengths_B)) for model in (shared, alone))
    assert torch.allclose(one, other, atol=1e-12)
    (one * slope_BTD).sum().backward()
    (other * slope_BTD).sum().backward()
    copies = dict(alone.named_parameters())
    for name, parameter in shared.named_parameters():
        assert origins[name]
        total = sum(copies[copy].grad for copy in origins[name])
        assert torch.allclose(parameter.grad, total, atol=1e-10), name


def origin_of(name: str, config: Config) -> str:
    """Which tensor of the shared model a tensor of the unshared one is a copy of."""
    parts = name.split(".")
    if parts[:2] in (["layers", "attention"], ["layers", "mlp"]):
        shares = {"attention": ("attention", "all"), "mlp": ("ffn", "all")}[parts[1]]
        if config.share in shares:
            parts[2] = str(int(parts[2]) // (config.layers // config.groups))
    return ".".join(parts)


@pytest.mark.parametrize("settings", SHARES, ids=str)
def test_what_is_written_is_read_back_with_its_sharing(settings: dict[str, object], tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = Config.model_validate(SMALL | settings)
    state = nn.ModuleDict({"backbone": config.build(40), "mlm": MaskedLM.of(config, 40)}).state_dict()
    huggingface.save_pretrained(tmp_path, config, state, {"pad": 0})
    again, _, read = huggingface.load_pretrained(tmp_path)
    assert again == config
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_layers_that_should_be_alike_and_are_not_are_refused(tmp_path: Path) -> None:
    config = Config.model_validate(SMALL | {"share": "attention"})
    state = unshare_layers(nn.ModuleDict({"backbone": config.build(40)}).state_dict())
    state["backbone.layers.attention.2.out.weight"] += 1
    huggingface.save_pretrained(tmp_path, config, state, {"pad": 0})
    with pytest.raises(DataError, match="layers share their attention, but layer 2 has another one"):
        huggingface.load_pretrained(tmp_path)


def test_inner_groups_are_refused_by_name(tmp_path: Path) -> None:
    config = Config.model_validate(SMALL)
    state = nn.ModuleDict({"backbone": config.build(40)}).state_dict()
    huggingface.save_pretrained(tmp_path, config, state, {"pad": 0})
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"inner_group_num": 1', '"inner_group_num": 2'))
    with pytest.raises(DataError, match="inner_group_num is 2; nlptool's ALBERT has 1 only"):
        huggingface.load_pretrained(tmp_path)


def test_shared_layers_take_their_room_once_in_optimiser_and_checkpoint(tmp_path: Path) -> None:
    saved = {}
    for share in ("all", "none"):
        module = Config.model_validate(SMALL | {"layers": 12, "share": share}).build(40)
        state = State(module, Adam(module, Optimizer()))
        for p in module.parameters():
            p.grad = torch.ones_like(p)
        state.optimizer.step(1e-3, torch.tensor(1.0), torch.tensor(0.0))
        checkpoint.save(state, tmp_path / share, "digest", None)
        moments = [t for name, t in state.optimizer.state_dict().items() if name != "count"]
        assert sum(t.numel() for t in moments) == 2 * count(module)
        files = [tmp_path / share / f"{name}.safetensors" for name in ("model", "optimizer")]
        saved[share] = (count(module), len(moments), sum(file.stat().st_size for file in files))
    layer = 4 * (16 * 16 + 16) + 2 * 16 + 2 * 16 * 64 + 64 + 16 + 2 * 16
    assert saved["none"][0] - saved["all"][0] == 11 * layer
    assert saved["none"][1] - saved["all"][1] == 2 * 11 * 12
    assert saved["none"][2] - saved["all"][2] > 3 * 4 * 11 * layer
