"""ALBERT's names and settings in Hugging Face's `transformers`, both ways.

Query, key and value are three matrices there and one here. The decoder is tied, so it is stored once, as the word
embeddings, and its bias once, as that of the head.

transformers shares whole layers only. A net that shares attention alone, or MLPs alone, is written with a group of
its own for each layer; the key `nlptool_share` in config.json, which transformers ignores, says what to join again.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool.models import hf_settings
from nlptool.models.albert.config import Config
from nlptool.models.hf_names import Names, activation
from nlptool.models.layer_sharing import unshare_layers

SHARE, GROUPS = "nlptool_share", "nlptool_groups"
LAYER = "albert.encoder.albert_layer_groups.{i}.albert_layers.0"
BUFFER = re.compile(r"(position_ids|token_type_ids)$")
NAMES = Names(
    family="ALBERT",
    modules={
        "backbone.embeddings.tokens": "albert.embeddings.word_embeddings",
        "backbone.embeddings.positions": "albert.embeddings.position_embeddings",
        "backbone.embeddings.types": "albert.embeddings.token_type_embeddings",
        "backbone.embeddings.norm": "albert.embeddings.LayerNorm",
        "backbone.layers.projection": "albert.encoder.embedding_hidden_mapping_in",
        "backbone.layers.attention.{i}.out": f"{LAYER}.attention.dense",
        "backbone.layers.attention.{i}.norm": f"{LAYER}.attention.LayerNorm",
        "backbone.layers.mlp.{i}.up": f"{LAYER}.ffn",
        "backbone.layers.mlp.{i}.down": f"{LAYER}.ffn_output",
        "backbone.layers.mlp.{i}.norm": f"{LAYER}.full_layer_layer_norm",
        "pooler.dense": "albert.pooler",
        "mlm.dense": "predictions.dense",
        "mlm.norm": "predictions.LayerNorm",
        "mlm": "predictions",
        "pair.dense": "sop_classifier.classifier",
        "span.out": "qa_outputs",
        # Three heads are called classifier there. Read, it is the last one.
        "tagger.out": "classifier",
        "chooser.out": "classifier",
        "classifier.out": "classifier",
    },
    split={
        "backbone.layers.attention.{i}.qkv": (
            f"{LAYER}.attention.query",
            f"{LAYER}.attention.key",
            f"{LAYER}.attention.value",
        )
    },
    tied={
        "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
        "predictions.decoder.bias": "predictions.bias",
    },
)
ARCHITECTURES = {
    frozenset({"backbone", "mlm", "pooler", "pair"}): "AlbertForPreTraining",
    frozenset({"backbone", "mlm"}): "AlbertForMaskedLM",
    frozenset({"backbone", "pooler", "classifier"}): "AlbertForSequenceClassification",
    frozenset({"backbone", "span"}): "AlbertForQuestionAnswering",
    frozenset({"backbone", "tagger"}): "AlbertForTokenClassification",
    frozenset({"backbone", "pooler", "chooser"}): "AlbertForMultipleChoice",
    frozenset({"backbone", "pooler"}): "AlbertModel",
    frozenset({"backbone"}): "AlbertModel",
}
DEFAULTS = {
    "layers": 12,
    "hidden": 4096,
    "heads": 64,
    "intermediate": 16384,
    "positions": 512,
    "types": 2,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "init": 0.02,
}


def architecture(state: Mapping[str, Tensor]) -> str:
    """The class of transformers that has exactly the parts of this state. Raises ValueError when none has."""
    return hf_settings.architecture(NAMES.family, ARCHITECTURES, state)


def to_hf(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """nlptool's state dict (`backbone.*`, `mlm.*`, `pooler.*`, `pair.*`) under Hugging Face's names."""
    return NAMES.to_hf(unshare_layers(state))


def from_hf(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's tensors under nlptool's names; heads that are not there stay away.

    Bare encoders (no `albert.` in front) and buffers are understood. Raises ValueError as Names.from_hf does.
    """
    return NAMES.from_hf({_full(key): t for key, t in tensors.items() if not BUFFER.search(key)})


def hf_config(
    config: Config, vocab_size: int, special: Mapping[str, int], architecture: str
) -> dict[str, Any]:
    """The settings for config.json."""
    return hf_settings.written(config, vocab_size, special, architecture) | {
        "model_type": "albert",
        "embedding_size": config.embedding,
        "num_hidden_groups": max(config.attentions, config.mlps),
        "inner_group_num": 1,
        SHARE: config.share,
        GROUPS: config.groups,
        "classifier_dropout_prob": 0.1,
        "bos_token_id": special.get("cls"),
        "eos_token_id": special.get("sep"),
    }


def from_hf_config(given: Mapping[str, Any]) -> Config:
    """The Config behind a config.json. Raises ValueError for a setting that nlptool's ALBERT does not have."""
    hf_settings.require(NAMES.family, given, {"inner_group_num": 1})
    return Config.model_validate(
        hf_settings.read(given, DEFAULTS)
        | {
            "activation": activation(NAMES.family, "hidden_act", given.get("hidden_act", "gelu_new")),
            "embedding": given.get("embedding_size", 128),
            "share": given.get(SHARE, "all"),
            "groups": given.get(GROUPS if SHARE in given else "num_hidden_groups", 1),
        }
    )


def _full(key: str) -> str:
    return f"albert.{key}" if key.startswith(("embeddings.", "encoder.", "pooler.")) else key
