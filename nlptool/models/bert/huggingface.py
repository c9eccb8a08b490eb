"""BERT's names and settings in Hugging Face's `transformers`, both ways.

Query, key and value are three matrices there and one here. The decoder is tied, so it is stored once, as
the word embeddings.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool.models.bert.config import Config
from nlptool.models.names import GELU, Names

NAMES = Names(
    family="BERT",
    modules={
        "backbone.embeddings.tokens": "bert.embeddings.word_embeddings",
        "backbone.embeddings.positions": "bert.embeddings.position_embeddings",
        "backbone.embeddings.types": "bert.embeddings.token_type_embeddings",
        "backbone.embeddings.norm": "bert.embeddings.LayerNorm",
        "backbone.layers.attention.{i}.out": "bert.encoder.layer.{i}.attention.output.dense",
        "backbone.layers.attention.{i}.norm": "bert.encoder.layer.{i}.attention.output.LayerNorm",
        "backbone.layers.mlp.{i}.up": "bert.encoder.layer.{i}.intermediate.dense",
        "backbone.layers.mlp.{i}.down": "bert.encoder.layer.{i}.output.dense",
        "backbone.layers.mlp.{i}.norm": "bert.encoder.layer.{i}.output.LayerNorm",
        "pooler.dense": "bert.pooler.dense",
        "mlm.dense": "cls.predictions.transform.dense",
        "mlm.norm": "cls.predictions.transform.LayerNorm",
        "mlm": "cls.predictions",
        "pair.dense": "cls.seq_relationship",
        "chooser.out": "classifier",  # both are called so there; read, it is the next one
        "classifier.out": "classifier",
    },
    split={
        "backbone.layers.attention.{i}.qkv": (
            "bert.encoder.layer.{i}.attention.self.query",
            "bert.encoder.layer.{i}.attention.self.key",
            "bert.encoder.layer.{i}.attention.self.value",
        )
    },
    tied={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
)
ARCHITECTURES = {
    frozenset({"backbone", "mlm", "pooler", "pair"}): "BertForPreTraining",
    frozenset({"backbone", "mlm"}): "BertForMaskedLM",
    frozenset({"backbone", "pooler", "classifier"}): "BertForSequenceClassification",
    frozenset({"backbone", "pooler", "chooser"}): "BertForMultipleChoice",
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
    """nlptool's state dict (`backbone.*`, `mlm.*`, `pooler.*`, `pair.*`) under Hugging Face's names."""
    return NAMES.to_hf(state)


def from_hf(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's tensors under nlptool's names; heads that are not there stay away.

    Names of before 2019 (LayerNorm.gamma), bare encoders (no `bert.` in front) and position_ids buffers are
    understood. Raises ValueError as Names.from_hf does.
    """
    return NAMES.from_hf({_modern(k): t for k, t in tensors.items() if not k.endswith("position_ids")})


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
    if activation not in GELU:
        raise ValueError(f"config.json: hidden_act is {activation!r}; nlptool's BERT has {', '.join(GELU)}")
    return Config.model_validate(
        {
            "layers": settings.get("num_hidden_layers", 12),
            "hidden": settings.get("hidden_size", 768),
            "heads": settings.get("num_attention_heads", 12),
            "intermediate": settings.get("intermediate_size", 3072),
            "positions": settings.get("max_position_embeddings", 512),
            "types": settings.get("type_vocab_size", 2),
            "activation": GELU[activation],
            "dropout": settings.get("hidden_dropout_prob", 0.1),
            "attention_dropout": settings.get("attention_probs_dropout_prob", 0.1),
            "init": settings.get("initializer_range", 0.02),
        }
    )


def _modern(key: str) -> str:
    key = key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    return f"bert.{key}" if key.startswith(("embeddings.", "encoder.", "pooler.")) else key
