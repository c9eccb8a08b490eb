"""ALBERT's names and settings in Hugging Face's `transformers`.

transformers shares whole layers only. A model that shares only attention, or only MLPs, is written with a group for
each layer; the key `nlptool_share` in config.json, which transformers ignores, says what to share again.
"""

from collections.abc import Mapping
from typing import Any

from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.models.hf_family import (
    ENCODER_FIXED,
    EncoderFamily,
    encoder_modules,
    encoder_settings,
    query_key_value,
)

SHARE, GROUPS = "nlptool_share", "nlptool_groups"
LAYER = "albert.encoder.albert_layer_groups.{i}.albert_layers.0"


class Albert(EncoderFamily):
    """ALBERT's family, with groups of layers."""

    def write(
        self, config: ModelConfig, vocab_size: int, special: Mapping[str, int], architecture: str
    ) -> dict[str, Any]:
        """With one group for each distinct layer."""
        return super().write(config, vocab_size, special, architecture) | {
            "num_hidden_groups": max(config.attentions, config.mlps),
            "bos_token_id": special.get("cls"),
            "eos_token_id": special.get("sep"),
        }

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What layers share: whole ones, unless SHARE says otherwise."""
        read = super().read(given)
        return read if SHARE in given else read | {"groups": given.get("num_hidden_groups", 1)}


FAMILY = Albert(
    title="ALBERT",
    model_type="albert",
    class_prefix="Albert",
    base_model_prefix="albert",
    activation=("hidden_act", "gelu_new"),
    settings=encoder_settings(hidden=4096, heads=64, intermediate=16384, dropout=0.0, attention_dropout=0.0)
    | {"embedding_size": ("embedding_size", 128), "share": (SHARE, "all"), "groups": (GROUPS, 1)},
    fixed=ENCODER_FIXED | {"inner_group_num": (1,)},
    written={
        "layer_norm_eps": EncoderConfig.epsilon,
        "inner_group_num": 1,
        "classifier_dropout_prob": 0.1,
    },
    modules=encoder_modules(
        "albert",
        LAYER,
        {
            "attention.out": "attention.dense",
            "attention.norm": "attention.LayerNorm",
            "mlp.up": "ffn",
            "mlp.down": "ffn_output",
            "mlp.norm": "full_layer_layer_norm",
        },
        {
            "backbone.layers.projection": "albert.encoder.embedding_hidden_mapping_in",
            "pooler.dense": "albert.pooler",
            "mlm.dense": "predictions.dense",
            "mlm.norm": "predictions.LayerNorm",
            "mlm": "predictions",
            "pair.dense": "sop_classifier.classifier",
        },
    ),
    split=query_key_value(*(f"{LAYER}.attention.{name}" for name in ("query", "key", "value"))),
    tied={
        "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
        "predictions.decoder.bias": "predictions.bias",
    },
)
