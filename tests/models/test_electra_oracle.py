"""ELECTRA against transformers: the same numbers, forward and backward, through files both ways."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.electra.config import Config
from nlptool.models.electra.huggingface import FAMILY
from nlptool.models.heads import MaskedLM, ReplacedTokenHead

transformers = pytest.importorskip("transformers")

VOCAB, TOKENS = 500, 24
NETS = {  # as of ELECTRA-small and -base, in small
    "projected": Config(layers=3, hidden=64, heads=2, embedding=32, positions=40),
    "plain": Config(layers=2, hidden=48, heads=3, positions=40),
}
CLASSES = {"rtd": "ElectraForPreTraining", "mlm": "ElectraForMaskedLM"}
both_nets = pytest.mark.parametrize("net", NETS)
both_heads = pytest.mark.parametrize("head", CLASSES)


def randomise(model: nn.Module) -> nn.Module:
    """Biases and norms away from 0 and 1, so that a forgotten one shows; no dropout."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)
    return model.eval()


def ours(config: Config, head: str) -> nn.ModuleDict:
    made = ReplacedTokenHead(config.hidden) if head == "rtd" else MaskedLM.of(config, VOCAB)
    return nn.ModuleDict({"backbone": config.build(VOCAB), head: made}).eval()


def theirs(config: Config, head: str) -> nn.Module:
    settings = FAMILY.write(config, VOCAB, {"pad": 0}, CLASSES[head].removeprefix("Electra"))
    made: nn.Module = randomise(
        getattr(transformers, CLASSES[head])(transformers.ElectraConfig.from_dict(settings))
    )
    return made


def inputs(rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids, types, lengths and [B, T] where tokens are real; never the padding id, which stops gradients there."""
    lengths_B = torch.randint(3, TOKENS + 1, (rows,))
    ids_BT = torch.randint(1, VOCAB, (rows, TOKENS))
    types_BT = (torch.arange(TOKENS) >= lengths_B[:, None] // 2).long()
    return ids_BT, types_BT, lengths_B, torch.arange(TOKENS) < lengths_B[:, None]


def our_logits(model: nn.ModuleDict, ids_BT: Tensor, types_BT: Tensor, lengths_B: Tensor) -> Tensor:
    hidden_BTD = model["backbone"](Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B))
    if "rtd" in model:
        return model["rtd"](hidden_BTD)
    return model["mlm"](hidden_BTD, model["backbone"].word_embeddings)


def their_logits(model: nn.Module, ids_BT: Tensor, types_BT: Tensor, real_BT: Tensor) -> Tensor:
    return model(ids_BT, attention_mask=real_BT.long(), token_type_ids=types_BT).logits


def assert_same_logits(model: nn.ModuleDict, reference: nn.Module) -> None:
    """100 random inputs with padding."""
    ids_BT, types_BT, lengths_B, real_BT = inputs(100)
    with torch.no_grad():
        one = our_logits(model, ids_BT, types_BT, lengths_B)
        other = their_logits(reference, ids_BT, types_BT, real_BT)
    assert one.shape == other.shape
    assert (one - other)[real_BT].abs().max() < 1e-5


@both_nets
@both_heads
def test_imported_weights_give_the_logits_of_transformers(net: str, head: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = theirs(NETS[net], head)
    reference.save_pretrained(tmp_path)
    config, vocab_size, state = huggingface.load_pretrained(tmp_path)
    assert (config, vocab_size) == (NETS[net], VOCAB)
    model = ours(NETS[net], head)
    assert huggingface.load(model, state) == huggingface.LoadReport((), ())
    assert_same_logits(model, reference)


@both_nets
@both_heads
def test_exported_weights_give_the_same_logits_in_transformers_and_no_key_is_left_over(
    net: str, head: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model = ours(NETS[net], head)
    randomise(model)
    huggingface.save_pretrained(
        tmp_path,
        NETS[net],
        model.state_dict(),
        {"pad": 0},
        architecture=CLASSES[head].removeprefix("Electra"),
    )
    assert transformers.AutoConfig.from_pretrained(tmp_path).architectures == [CLASSES[head]]
    reference, info = getattr(transformers, CLASSES[head]).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert_same_logits(model, reference.eval())


@both_nets
@both_heads
def test_gradients_are_those_of_transformers(net: str, head: str) -> None:
    torch.manual_seed(2)
    reference = theirs(NETS[net], head)
    model = ours(NETS[net], head)
    huggingface.load(model, FAMILY.from_hf(reference.state_dict()))
    ids_BT, types_BT, lengths_B, real_BT = inputs(8)
    labels_BT = torch.randint(0, 2 if head == "rtd" else VOCAB, ids_BT.shape)
    for logits, holder in (
        (our_logits(model, ids_BT, types_BT, lengths_B), model),
        (their_logits(reference, ids_BT, types_BT, real_BT), reference),
    ):
        if head == "rtd":
            loss = F.binary_cross_entropy_with_logits(logits[real_BT], labels_BT[real_BT].float())
        else:
            loss = F.cross_entropy(logits[real_BT], labels_BT[real_BT])
        holder.zero_grad()
        loss.backward()
    expected = FAMILY.from_hf({key: p.grad for key, p in reference.named_parameters()})
    for key, parameter in model.named_parameters():
        difference = (parameter.grad - expected[key]).norm() / expected[key].norm()
        assert difference < 1e-4, f"{key}: {difference:.1e}"


def test_a_bare_encoder_loads_both_ways(tmp_path: Path) -> None:
    torch.manual_seed(4)
    config = NETS["projected"]
    reference = randomise(
        transformers.ElectraModel(
            transformers.ElectraConfig.from_dict(FAMILY.write(config, VOCAB, {"pad": 0}, "ElectraModel"))
        )
    )
    reference.save_pretrained(tmp_path)
    model = nn.ModuleDict({"backbone": config.build(VOCAB)}).eval()
    loaded = huggingface.load_pretrained(tmp_path)
    assert huggingface.load(model, loaded.state) == huggingface.LoadReport((), ())
    ids_BT, types_BT, lengths_B, real_BT = inputs(8)
    with torch.no_grad():
        hidden_BTD = model["backbone"](Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B))
        expected = reference(ids_BT, attention_mask=real_BT.long(), token_type_ids=types_BT).last_hidden_state
    assert (hidden_BTD - expected)[real_BT].abs().max() < 1e-5
    again = tmp_path / "again"
    again.mkdir()
    huggingface.save_pretrained(again, config, model.state_dict(), {"pad": 0})
    _, info = transformers.ElectraModel.from_pretrained(again, output_loading_info=True)
    assert not any(info.values()), info
