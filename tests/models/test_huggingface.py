"""Model folders: refused, accepted and written files."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.bert.config import Config
from nlptool.models.bert.huggingface import FAMILY
from nlptool.models.heads import MaskedLM, Pooler, SegmentPairHead

CONFIG = Config(layers=2, hidden=8, heads=2, max_positions=16, dropout=0.2, activation="gelu_tanh")


def model(*heads: str) -> nn.ModuleDict:
    every = {
        "mlm": MaskedLM(8, 8, 40, "gelu_tanh"),
        "pooler": Pooler(8),
        "pair": SegmentPairHead(8),
    }
    return nn.ModuleDict({"backbone": CONFIG.build(40), **{name: every[name] for name in heads}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An exported model with all heads."""
    torch.manual_seed(0)
    state = model("mlm", "pooler", "pair").state_dict()
    huggingface.save_pretrained(tmp_path, CONFIG, state, {"pad": 3}, architecture="ForPreTraining")
    return tmp_path


def change_config(folder: Path, **changes: object) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changes))


def test_what_is_written_is_read_back(folder: Path) -> None:
    torch.manual_seed(0)
    state = model("mlm", "pooler", "pair").state_dict()
    config, vocab_size, again = huggingface.load_pretrained(folder)
    assert (config, vocab_size) == (CONFIG, 40)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)


def test_the_tied_matrix_is_stored_once_and_the_padding_id_is_told(folder: Path) -> None:
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert "cls.predictions.decoder.weight" not in file.keys()  # noqa: SIM118
    settings = json.loads((folder / "config.json").read_text())
    assert settings["pad_token_id"] == 3
    assert settings["architectures"] == ["BertForPreTraining"]


def test_heads_missing_on_either_side_are_reported(folder: Path) -> None:
    state = huggingface.load_pretrained(folder).state
    assert huggingface.load(model("mlm"), state) == huggingface.LoadReport((), ("pair", "pooler"))
    bare = {key: tensor for key, tensor in state.items() if key.startswith("backbone.")}
    assert huggingface.load(model("mlm", "pooler"), bare) == huggingface.LoadReport(("mlm", "pooler"), ())


def test_loading_copies_every_weight(folder: Path) -> None:
    state = huggingface.load_pretrained(folder).state
    fresh = model("mlm")
    huggingface.load(fresh, state)
    assert all(torch.equal(tensor, state[key]) for key, tensor in fresh.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone.layers.mlp.0.up.bias": None}, "backbone.layers.mlp.0.up.bias is missing"),
        ({"backbone.layers.mlp.9.up.bias": torch.ones(32)}, "backbone.layers.mlp.9.up.bias is not expected"),
        ({"mlm.bias": torch.ones(41)}, r"mlm.bias has shape \[41\], expected \[40\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    change: dict[str, torch.Tensor | None], message: str, folder: Path
) -> None:
    given = huggingface.load_pretrained(folder).state | change
    with pytest.raises(DataError, match=message):
        huggingface.load(model("mlm"), {key: t for key, t in given.items() if t is not None})


def test_weights_without_a_backbone_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="no backbone"):
        huggingface.load(model("mlm"), {"mlm.bias": torch.ones(40)})


def test_names_of_before_2019_bare_encoders_and_half_precision_are_understood(folder: Path) -> None:
    expected = huggingface.load_pretrained(folder).state
    tensors = {}
    for key, tensor in load_file(folder / "model.safetensors").items():
        old = key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        if old.startswith("bert."):
            tensors[old.removeprefix("bert.")] = tensor.to(torch.bfloat16)
    tensors["embeddings.position_ids"] = torch.arange(16)[None]
    save_file(tensors, folder / "model.safetensors")
    state = huggingface.load_pretrained(folder).state
    assert {key.partition(".")[0] for key in state} == {"backbone", "pooler"}
    for key, tensor in state.items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, expected[key], rtol=0.01)


def test_a_stored_decoder_is_accepted_when_tied_and_refused_when_not(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    words = tensors["bert.embeddings.word_embeddings.weight"]
    tied = tensors | {"cls.predictions.decoder.weight": words}
    tied["cls.predictions.decoder.bias"] = tied.pop("cls.predictions.bias")
    assert FAMILY.from_hf(tied).keys() == FAMILY.from_hf(tensors).keys()
    with pytest.raises(ValueError, match="tied decoder only"):
        FAMILY.from_hf(tensors | {"cls.predictions.decoder.weight": words + 1})


def test_a_missing_key_matrix_is_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["bert.encoder.layer.1.attention.self.key.weight"]
    with pytest.raises(ValueError, match=r"layer\.1\.attention\.self\.key\.weight is missing"):
        FAMILY.from_hf(tensors)


def test_an_unknown_tensor_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no place for: bert\.adapter\.weight"):
        FAMILY.from_hf(load_file(folder / "model.safetensors") | {"bert.adapter.weight": torch.ones(2)})


def test_shards_are_read_through_their_index(folder: Path) -> None:
    expected = huggingface.load_pretrained(folder).state
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    placed = {key: f"model-0000{i % 2 + 1}-of-00002.safetensors" for i, key in enumerate(tensors)}
    for name in set(placed.values()):
        save_file({key: t for key, t in tensors.items() if placed[key] == name}, folder / name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": placed}))
    state = huggingface.load_pretrained(folder).state
    assert all(torch.equal(state[key], expected[key]) for key in expected)

    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(DataError, match="the index names this shard, but it is not there"):
        huggingface.load_pretrained(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(DataError, match="outside the folder"):
        huggingface.load_pretrained(folder)


def test_a_pickle_is_refused_with_the_way_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(DataError, match="a pickle can run any program") as caught:
        huggingface.load_pretrained(folder)
    assert caught.value.hint is not None
    assert "save_pretrained" in caught.value.hint


def test_a_broken_file_is_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be read"):
        huggingface.load_pretrained(folder)


def test_an_empty_folder_and_broken_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config\.json: no such file"):
        huggingface.load_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"config\.json: is not JSON"):
        huggingface.load_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(DataError, match="vocab_size is missing"):
        huggingface.load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, '"llama" is not a family nlptool has; it has .*bert'),
        ({"hidden_act": "relu"}, 'hidden_act is "relu"'),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05; nlptool's BERT has 1e-12 only"),
        ({"position_embedding_type": "relative_key"}, 'position_embedding_type is "relative_key"'),
        ({"num_attention_heads": 3}, r"heads \(3\) must divide hidden \(8\)"),
    ],
)
def test_settings_that_nlptool_has_not_are_refused_by_name(
    changes: dict[str, object], message: str, folder: Path
) -> None:
    change_config(folder, **changes)
    with pytest.raises(DataError, match=message):
        huggingface.load_pretrained(folder)


def test_a_head_that_transformers_lacks_goes_out_under_its_own_name_and_comes_back(tmp_path: Path) -> None:
    state = model().state_dict() | {"gate.dense.0.weight": torch.randn(1, 8)}
    huggingface.save_pretrained(tmp_path, CONFIG, state, {"pad": 0})
    assert "nlptool.gate.dense.0.weight" in load_file(tmp_path / "model.safetensors")
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["BertModel"]
    assert torch.equal(
        huggingface.load_pretrained(tmp_path).state["gate.dense.0.weight"], state["gate.dense.0.weight"]
    )


def test_weights_that_are_no_numbers_are_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.pooler.dense.bias"][2] = torch.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"bert.pooler.dense.bias: not all weights are finite numbers"):
        huggingface.load_pretrained(folder)


def test_classes_come_by_their_numbers_in_whatever_order_the_file_has_them():
    names = [f"class {number}" for number in range(12)]
    by_text = {str(number): names[number] for number in sorted(range(12), key=str)}
    assert list(by_text) != sorted(by_text, key=int)
    assert list(huggingface.class_names({"id2label": by_text})) == names
    assert huggingface.class_names({"id2label": {"1": "yes", "0": "no"}}) == ("no", "yes")
    assert huggingface.class_names({}) == ()


@pytest.mark.parametrize(
    "broken", [["no", "yes"], {"no": "0"}, {"0": "no", "2": "yes"}, {"1": "no", "01": "x"}]
)
def test_classes_without_a_number_each_are_refused(broken: object):
    with pytest.raises(ValueError, match="id2label: expected"):
        huggingface.class_names({"id2label": broken})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": ["gelu"]}, r'hidden_act is \["gelu"\]'),
        (
            {"vocab_size": 10**9},
            r"config.json says 1,000,000,000 tokens of width 8; the weights have \[40, 8\]",
        ),
        ({"hidden_size": 8000, "num_attention_heads": 2}, "tokens of width 8,000"),
        ({"max_position_embeddings": 9000}, "says 9,000 positions"),
        ({"num_hidden_layers": 10**12}, r"config\.json: layers: Input should be"),
        ({"type_vocab_size": 99}, "says 99 types"),
        ({"intermediate_size": 9000}, "an MLP of width 9,000; the weights have 32"),
        ({"num_hidden_layers": 9000}, "9,000 layers with weights of their own; there are 2"),
    ],
)
def test_settings_that_are_not_those_of_the_weights_are_refused_before_a_model_is_made(
    changes: dict[str, object], message: str, folder: Path
) -> None:
    change_config(folder, **changes)
    with pytest.raises(DataError, match=message):
        huggingface.load_pretrained(folder)


def test_a_file_nested_too_deep_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(DataError, match=r"config\.json: is not JSON: maximum recursion depth"):
        huggingface.load_pretrained(folder)


@pytest.mark.parametrize("placed", [5, ["a"], {"a": 5}, {"a": None}, None])
def test_an_index_that_is_none_is_refused(folder: Path, placed: object) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    with pytest.raises(DataError, match="weight_map must say"):
        huggingface.load_pretrained(folder)


def test_a_shard_that_is_a_pipe_is_not_waited_for(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "shard.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "shard.safetensors"}}')
    with pytest.raises(DataError, match=r"shard\.safetensors: is not a file"):
        huggingface.load_pretrained(folder)


WORDS = "bert.embeddings.word_embeddings.weight"
QUERY, KEY = (f"bert.encoder.layer.1.attention.self.{name}.weight" for name in ("query", "key"))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (WORDS, lambda t: t.to(torch.float8_e4m3fn), "is float8_e4m3fn; expected float32"),
        (WORDS, lambda t: t.to(torch.int8), "is int8; weights are fractions"),
        (WORDS, lambda t: t[0], r"40 tokens of width 8; the weights have \[8\]"),
        (QUERY, lambda t: t[0], "key.weight has shape"),
        (KEY, lambda t: t[None], "key.weight has shape"),
        (KEY, lambda t: t.sum(), "key.weight has shape"),
    ],
)
def test_tensors_of_another_kind_or_rank_are_refused_by_name(
    name: str, change: Callable[[Tensor], Tensor], message: str, folder: Path
) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[name] = change(tensors[name]).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=message):
        huggingface.load_pretrained(folder)


def test_weights_without_words_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[WORDS]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="no embeddings of tokens"):
        huggingface.load_pretrained(folder)


def test_a_disk_that_is_full_when_weights_are_written_is_told_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*arguments, **options):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(huggingface, "save_file", full)
    with pytest.raises(DataError, match=r"model.safetensors: could not be written: No space left") as told:
        huggingface.write(tmp_path, {}, {})
    assert "free some space" in told.value.hint
