"""ALBERT against transformers: the same numbers, forward and backward, through files both ways."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.models import huggingface
from nlptool.models.albert.config import Config
from nlptool.models.albert.huggingface import FAMILY
from nlptool.models.base import Inputs
from nlptool.models.heads import MaskedLM, Pooler, SegmentPairHead

transformers = pytest.importorskip("transformers")

VOCAB = 3000
SIZE = {"layers": 6, "hidden": 128, "heads": 4, "embedding": 32}
SPECIAL = {"pad": 0, "cls": 2, "sep": 3}
SHARES = [
    {"share": "all"},
    {"share": "all", "groups": 3},
    {"share": "attention"},
    {"share": "ffn", "groups": 2},
    {"share": "none"},
]


def ours(config: Config) -> nn.ModuleDict:
    """ALBERT with both pretraining heads, in the parts of an objective."""
    return nn.ModuleDict(
        {
            "backbone": config.build(VOCAB),
            "mlm": MaskedLM.of(config, VOCAB),
            "pooler": Pooler(config.hidden),
            "pair": SegmentPairHead(config.hidden),
        }
    ).eval()


def randomise(model: nn.Module) -> None:
    """Biases and norms away from 0 and 1, so that a forgotten one shows."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)


def theirs(groups: int = 1, activation: str = "gelu_new") -> nn.Module:
    settings = transformers.AlbertConfig(
        vocab_size=VOCAB,
        embedding_size=32,
        hidden_size=128,
        num_hidden_layers=6,
        num_hidden_groups=groups,
        num_attention_heads=4,
        intermediate_size=512,
        hidden_act=activation,
    )
    model: nn.Module = transformers.AlbertForPreTraining(settings).eval()
    randomise(model)
    return model


def random_batch(rows: int = 10, tokens: int = 24) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, types and lengths; ids are never the padding id, for which transformers stops the gradient."""
    lengths_B = torch.randint(3, tokens + 1, (rows,))
    ids_BT = torch.randint(1, VOCAB, (rows, tokens))
    types_BT = (torch.arange(tokens) >= lengths_B[:, None] // 2).long()
    return ids_BT, types_BT, lengths_B


def their_outputs(
    model: nn.Module, ids_BT: Tensor, types_BT: Tensor, lengths_B: Tensor
) -> tuple[Tensor, Tensor]:
    mask_BT = (torch.arange(ids_BT.shape[1]) < lengths_B[:, None]).long()
    out = model(ids_BT, attention_mask=mask_BT, token_type_ids=types_BT)
    return out.prediction_logits, out.sop_logits


def our_outputs(
    model: nn.ModuleDict, ids_BT: Tensor, types_BT: Tensor, lengths_B: Tensor
) -> tuple[Tensor, Tensor]:
    hidden_BTD = model["backbone"](Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B))
    logits_BTV = model["mlm"](hidden_BTD, model["backbone"].word_embeddings)
    return logits_BTV, model["pair"](model["pooler"](hidden_BTD))


def assert_same_logits(model: nn.ModuleDict, reference: nn.Module) -> None:
    """100 random inputs with padding."""
    with torch.no_grad():
        for _ in range(10):
            ids_BT, types_BT, lengths_B = random_batch()
            real_BT = torch.arange(24) < lengths_B[:, None]
            mlm, pair = our_outputs(model, ids_BT, types_BT, lengths_B)
            their_mlm, their_pair = their_outputs(reference, ids_BT, types_BT, lengths_B)
            assert (mlm - their_mlm)[real_BT].abs().max() < 1e-5
            assert (pair - their_pair).abs().max() < 1e-5


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
def test_imported_weights_give_the_logits_of_transformers(
    groups: int, activation: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    reference = theirs(groups, activation)
    reference.save_pretrained(tmp_path)
    config, vocab_size, state = huggingface.load_pretrained(tmp_path)
    assert isinstance(config, Config)
    assert (vocab_size, config.groups, config.share) == (VOCAB, groups, "all")
    model = ours(config)
    assert huggingface.load(model, state) == huggingface.LoadReport((), ())
    assert_same_logits(model, reference)


@pytest.mark.parametrize("settings", SHARES, ids=str)
def test_exported_weights_give_the_same_logits_in_transformers_and_no_key_is_left_over(
    settings: dict[str, object], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    config = Config.model_validate(SIZE | settings)
    model = ours(config)
    randomise(model)
    huggingface.save_pretrained(tmp_path, config, model.state_dict(), SPECIAL)
    reference, info = transformers.AlbertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert_same_logits(model, reference.eval())


@pytest.mark.parametrize("groups", [1, 3])
def test_gradients_of_the_summed_loss_are_those_of_transformers(groups: int) -> None:
    torch.manual_seed(2)
    reference = theirs(groups)
    model = ours(Config.model_validate(FAMILY.read(reference.config.to_dict())))
    huggingface.load(model, FAMILY.from_hf(reference.state_dict()))
    ids_BT, types_BT, lengths_B = random_batch(4)
    at_BK = (torch.rand(4, 5) * lengths_B[:, None]).long()
    labels_BK = torch.randint(0, VOCAB, (4, 5))
    labels_BK[0, 3:] = -100
    order_B = torch.tensor([0, 1, 1, 0])

    their_mlm, their_pair = their_outputs(reference, ids_BT, types_BT, lengths_B)
    their_mlm = their_mlm[torch.arange(4)[:, None], at_BK]
    loss = F.cross_entropy(their_mlm.flatten(0, 1), labels_BK.flatten(), reduction="sum")
    (loss + F.cross_entropy(their_pair, order_B, reduction="sum")).backward()

    backbone = model["backbone"]
    at_first_and_asked = torch.cat([torch.zeros(4, 1, dtype=torch.long), at_BK], dim=1)
    hidden_BKD = backbone(
        Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B, output_positions=at_first_and_asked)
    )
    our_mlm = model["mlm"].loss(hidden_BKD[:, 1:], backbone.word_embeddings, labels_BK)
    our_pair = model["pair"](model["pooler"](hidden_BKD))
    (our_mlm + F.cross_entropy(our_pair, order_B, reduction="sum")).backward()

    expected = FAMILY.from_hf({key: p.grad for key, p in reference.named_parameters()})
    for key, parameter in model.named_parameters():
        difference = (parameter.grad - expected[key]).norm() / expected[key].norm()
        assert difference < 1e-4, f"{key}: {difference:.1e}"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("backbone",), "AlbertModel"),
        (("backbone", "pooler"), "AlbertModel"),
        (("backbone", "mlm"), "AlbertForMaskedLM"),
        (("backbone", "mlm", "pooler", "pair"), "AlbertForPreTraining"),
    ],
)
def test_each_set_of_heads_goes_out_to_its_own_class_and_comes_back(
    parts: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    config = Config(layers=1, hidden=8, heads=2, positions=16, embedding=4)
    state = {k: v for k, v in ours(config).state_dict().items() if k.partition(".")[0] in parts}
    huggingface.save_pretrained(
        tmp_path, config, state, SPECIAL, architecture=expected.removeprefix("Albert")
    )
    settings = transformers.AutoConfig.from_pretrained(tmp_path)
    assert settings.architectures == [expected]
    assert (settings.bos_token_id, settings.eos_token_id) == (2, 3)
    options = {} if "pooler" in parts or expected != "AlbertModel" else {"add_pooling_layer": False}
    model, info = getattr(transformers, expected).from_pretrained(
        tmp_path, output_loading_info=True, **options
    )
    assert not any(info.values()), info
    model.save_pretrained(tmp_path / "again")
    _, _, read = huggingface.load_pretrained(tmp_path / "again")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)
