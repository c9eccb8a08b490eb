"""BERT's names and settings in Hugging Face's `transformers`, both ways.

Query, key and value are three matrices there and one here. The decoder is tied, so it is stored once, as
the word embeddings.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nlptool.models.bert.config import Config

# own name -> Hugging Face's; {i} is a layer's number
LAYER = {
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}
REST = {
    "backbone.embeddings.tokens": "bert.embeddings.word_embeddings",
    "backbone.embeddings.positions": "bert.embeddings.position_embeddings",
    "backbone.embeddings.types": "bert.embeddings.token_type_embeddings",
    "backbone.embeddings.norm": "bert.embeddings.LayerNorm",
    "pooler.dense": "bert.pooler.dense",
    "mlm.dense": "cls.predictions.transform.dense",
    "mlm.norm": "cls.predictions.transform.LayerNorm",
    "mlm": "cls.predictions",
    "nsp.dense": "cls.seq_relationship",
}
QKV = ("query", "key", "value")
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}
ARCHITECTURES = {
    frozenset({"backbone", "mlm", "pooler", "nsp"}): "BertForPreTraining",
    frozenset({"backbone", "mlm"}): "BertForMaskedLM",
    frozenset({"backbone", "pooler"}): "BertModel",
    frozenset({"backbone"}): "BertModel",
}


def architecture(state: Mapping[str, Tensor]) -> str:
    """The class of transformers that has exactly the parts of this state. Raises ValueError when none has."""
    parts = frozenset(key.partition(".")[0] for key in state)
    if parts not in ARCHITECTURES:
        raise ValueError(f"no Hugging Face BERT class has the parts {', '.join(sorted(parts))}")
    return ARCHITECTURES[parts]


def to_hf(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """nlptool's state dict (`backbone.*`, `mlm.*`, `pooler.*`, `nsp.*`) under Hugging Face's names."""
    tensors: dict[str, Tensor] = {}
    for key, tensor in state.items():
        module, _, kind = key.rpartition(".")
        layer = re.fullmatch(r"backbone\.layers\.(\d+)\.(.+)", module)
        if layer and layer[2] == "attention.qkv":
            for name, part in zip(QKV, tensor.chunk(3), strict=True):
                tensors[f"bert.encoder.layer.{layer[1]}.attention.self.{name}.{kind}"] = part
        elif layer:
            tensors[f"bert.encoder.layer.{layer[1]}.{LAYER[layer[2]]}.{kind}"] = tensor
        else:
            tensors[f"{REST[module]}.{kind}"] = tensor
    return tensors


def from_hf(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's tensors under nlptool's names; heads that are not there stay away.

    Names of before 2019 (LayerNorm.gamma), bare encoders (no `bert.` in front) and position_ids buffers are
    understood. Raises ValueError for other names, for a decoder that is not tied and for a missing query, key
    or value.
    """
    given = {_modern(key): tensor for key, tensor in tensors.items() if not key.endswith("position_ids")}
    _drop_tied(given)
    own_layer = {theirs: own for own, theirs in LAYER.items()}
    own_rest = {theirs: own for own, theirs in REST.items()}
    state: dict[str, Tensor] = {}
    unknown = []
    for key in sorted(given):
        module, _, kind = key.rpartition(".")
        layer = re.fullmatch(r"bert\.encoder\.layer\.(\d+)\.(.+)", module)
        attention = layer and re.fullmatch(r"attention\.self\.(query|key|value)", layer[2])
        if layer and attention:
            own = f"backbone.layers.{layer[1]}.attention.qkv.{kind}"
            if own not in state:
                state[own] = torch.cat(
                    [_required(given, f"{module.rpartition('.')[0]}.{q}.{kind}") for q in QKV]
                )
        elif layer and layer[2] in own_layer:
            state[f"backbone.layers.{layer[1]}.{own_layer[layer[2]]}.{kind}"] = given[key]
        elif module in own_rest:
            state[f"{own_rest[module]}.{kind}"] = given[key]
        else:
            unknown.append(key)
    if unknown:
        raise ValueError(f"tensors that nlptool's BERT has no place for: {', '.join(unknown[:8])}")
    return state


def hf_config(
    config: Config, vocab_size: int, special: Mapping[str, int], architecture: str
) -> dict[str, Any]:
    """The settings for config.json."""
    return {
        "architectures": [architecture],
        "model_type": "bert",
        "vocab_size": vocab_size,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "hidden_act": "gelu" if config.activation == "gelu" else "gelu_new",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": config.positions,
        "type_vocab_size": config.types,
        "initializer_range": config.init,
        "layer_norm_eps": 1e-12,
        "pad_token_id": special["pad"],
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def from_hf_config(settings: Mapping[str, Any]) -> Config:
    """The Config behind a config.json. Raises ValueError for a setting that nlptool's BERT does not have."""
    fixed = {"layer_norm_eps": 1e-12, "position_embedding_type": "absolute", "is_decoder": False}
    fixed |= {"add_cross_attention": False, "tie_word_embeddings": True}
    for key, value in fixed.items():
        if settings.get(key, value) != value:
            raise ValueError(f"config.json: {key} is {settings[key]!r}; nlptool's BERT has {value!r} only")
    activation = settings.get("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"config.json: hidden_act is {activation!r}; nlptool's BERT has {', '.join(ACTIVATIONS)}"
        )
    return Config.model_validate(
        {
            "layers": settings.get("num_hidden_layers", 12),
            "hidden": settings.get("hidden_size", 768),
            "heads": settings.get("num_attention_heads", 12),
            "intermediate": settings.get("intermediate_size", 3072),
            "positions": settings.get("max_position_embeddings", 512),
            "types": settings.get("type_vocab_size", 2),
            "activation": ACTIVATIONS[activation],
            "dropout": settings.get("hidden_dropout_prob", 0.1),
            "attention_dropout": settings.get("attention_probs_dropout_prob", 0.1),
            "init": settings.get("initializer_range", 0.02),
        }
    )


def _modern(key: str) -> str:
    key = key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    return f"bert.{key}" if key.startswith(("embeddings.", "encoder.", "pooler.")) else key


def _drop_tied(given: dict[str, Tensor]) -> None:
    """Remove the second names of tied tensors, after making sure that they are tied."""
    pairs = {
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }
    for second, first in pairs.items():
        if second in given:
            tensor = given.pop(second)
            if not torch.equal(given.setdefault(first, tensor), tensor):
                raise ValueError(f"{second} differs from {first}; nlptool's BERT has a tied decoder only")


def _required(given: Mapping[str, Tensor], key: str) -> Tensor:
    if key not in given:
        raise ValueError(f"{key} is missing")
    return given[key]
