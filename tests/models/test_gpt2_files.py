"""GPT-2's files: OpenAI's early format, and unsupported settings."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.gpt2.config import Config

transformers = pytest.importorskip("transformers")

VOCAB = 5000
SIZE = {"n_layer": 4, "n_embd": 128, "n_head": 4, "n_positions": 64}
CONFIG = Config(layers=4, hidden=128, heads=4, max_positions=64)


def randomise(model: nn.Module) -> None:
    """Biases and norms away from 0 and 1, so that a forgotten one shows."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=VOCAB, **SIZE)).eval()
    randomise(model)
    return model


@pytest.fixture
def folder(reference: nn.Module, tmp_path: Path) -> Path:
    reference.save_pretrained(tmp_path)
    return tmp_path


def loaded(folder: Path) -> nn.ModuleDict:
    config, vocab_size, state = huggingface.load_pretrained(folder)
    assert isinstance(config, Config)
    model = nn.ModuleDict({"backbone": config.build(vocab_size)}).eval()
    assert huggingface.load(model, state) == huggingface.LoadReport((), ())
    return model


def logits(model: nn.ModuleDict, ids_BT: Tensor) -> Tensor:
    return F.linear(model["backbone"](Inputs(ids=ids_BT)), model["backbone"].word_embeddings)


def assert_same_logits(model: nn.ModuleDict, theirs: nn.Module) -> None:
    """100 random inputs padded at the end."""
    with torch.no_grad():
        for _ in range(10):
            lengths_B = torch.randint(1, 25, (10,))
            real_BT = torch.arange(24) < lengths_B[:, None]
            ids_BT = torch.randint(0, VOCAB, (10, 24))
            expected = theirs(ids_BT, attention_mask=real_BT.long()).logits
            assert (logits(model, ids_BT) - expected)[real_BT].abs().max() < 1e-5


def test_files_of_openais_age_are_understood(reference: nn.Module, folder: Path):
    """Without `transformer.` in front, with the causal mask as buffers and the head stored a second time."""
    tensors = load_file(folder / "model.safetensors")
    old = {key.removeprefix("transformer."): tensor for key, tensor in tensors.items()}
    for layer in range(4):
        old[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
        old[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    old["lm_head.weight"] = old["wte.weight"].clone()
    save_file(old, folder / "model.safetensors")
    assert_same_logits(loaded(folder), reference)


def test_an_untied_head_is_refused(folder: Path):
    tensors = load_file(folder / "model.safetensors")
    save_file(
        tensors | {"lm_head.weight": tensors["transformer.wte.weight"] + 1}, folder / "model.safetensors"
    )
    with pytest.raises(DataError, match=r"lm_head\.weight differs .* GPT-2 has a tied decoder only"):
        huggingface.load_pretrained(folder)


def test_settings_come_back(tmp_path: Path):
    config = Config(
        layers=1, hidden=8, heads=2, max_positions=16, dropout=0.2, attention_dropout=0.3, init=0.05
    )
    state = nn.ModuleDict({"backbone": config.build(40)}).state_dict()
    huggingface.save_pretrained(tmp_path, config, state, {"sep": 3})
    read, vocab_size, again = huggingface.load_pretrained(tmp_path)
    assert (read, vocab_size) == (config, 40)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)
    assert json.loads((tmp_path / "config.json").read_text())["eos_token_id"] == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"activation_function": "relu"},
            'activation_function is "relu"; nlptool\'s GPT-2 has "gelu_new" or',
        ),
        ({"n_inner": 100}, "n_inner is 100; nlptool's GPT-2 has null or 512 only"),
        ({"embd_pdrop": 0.5}, r"embd_pdrop is 0\.5; nlptool's GPT-2 has 0\.1 only"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is true"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is false"),
    ],
)
def test_settings_that_nlptool_has_not_are_refused_by_name(
    changes: dict[str, object], message: str, folder: Path
):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changes))
    with pytest.raises(DataError, match=message):
        huggingface.load_pretrained(folder)
