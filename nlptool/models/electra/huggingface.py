"""ELECTRA's names and settings in Hugging Face's `transformers`, both ways.

The discriminator (`backbone.*`, `rtd.*`) and the generator (`backbone.*`, `mlm.*`) are two models there, each with
its own copy of the embeddings that the two share while they are trained.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool.models.electra.config import Config
from nlptool.models.names import Names

NAMES = Names(
    family="ELECTRA",
    modules={
        "backbone.embeddings.tokens": "electra.embeddings.word_embeddings",
        "backbone.embeddings.positions": "electra.embeddings.position_embeddings",
        "backbone.embeddings.types": "electra.embeddings.token_type_embeddings",
        "backbone.embeddings.norm": "electra.embeddings.LayerNorm",
        "backbone.layers.projection": "electra.embeddings_project",
        "backbone.layers.attention.{i}.out": "electra.encoder.layer.{i}.attention.output.dense",
        "backbone.layers.attention.{i}.norm": "electra.encoder.layer.{i}.attention.output.LayerNorm",
        "backbone.layers.mlp.{i}.up": "electra.encoder.layer.{i}.intermediate.dense",
        "backbone.layers.mlp.{i}.down": "electra.encoder.layer.{i}.output.dense",
        "backbone.layers.mlp.{i}.norm": "electra.encoder.layer.{i}.output.LayerNorm",
        "rtd.dense": "discriminator_predictions.dense",
        "rtd.out": "discriminator_predictions.dense_prediction",
        "mlm.dense": "generator_predictions.dense",
        "mlm.norm": "generator_predictions.LayerNorm",
        "mlm": "generator_lm_head",
        "classifier.dense": "classifier.dense",
        "classifier.out": "classifier.out_proj",
    },
    split={
        "backbone.layers.attention.{i}.qkv": (
            "electra.encoder.layer.{i}.attention.self.query",
            "electra.encoder.layer.{i}.attention.self.key",
            "electra.encoder.layer.{i}.attention.self.value",
        )
    },
    tied={"generator_lm_head.weight": "electra.embeddings.word_embeddings.weight"},
)
ARCHITECTURES = {
    frozenset({"backbone", "rtd"}): "ElectraForPreTraining",
    frozenset({"backbone", "mlm"}): "ElectraForMaskedLM",
    frozenset({"backbone", "classifier"}): "ElectraForSequenceClassification",
    frozenset({"backbone"}): "ElectraModel",
}


def architecture(state: Mapping[str, Tensor]) -> str:
    """The class of transformers that has exactly the parts of this state. Raises ValueError when none has."""
    parts = frozenset(key.partition(".")[0] for key in state)
    if parts not in ARCHITECTURES:
        raise ValueError(f"no Hugging Face ELECTRA class has the parts {', '.join(sorted(parts))}")
    return ARCHITECTURES[parts]


def to_hf(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """nlptool's state dict (`backbone.*` with `rtd.*` or `mlm.*`) under Hugging Face's names."""
    return NAMES.to_hf(state)


def from_hf(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's tensors under nlptool's names; heads that are not there stay away.

    Bare encoders (no `electra.` in front) and position_ids buffers are understood. Raises ValueError as
    Names.from_hf does.
    """
    return NAMES.from_hf({_whole(k): t for k, t in tensors.items() if not k.endswith("position_ids")})


def hf_config(
    config: Config, vocab_size: int, special: Mapping[str, int], architecture: str
) -> dict[str, Any]:
    """The settings for config.json."""
    return {
        "architectures": [architecture],
        "model_type": "electra",
        "vocab_size": vocab_size,
        "embedding_size": config.embedding,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": config.positions,
        "type_vocab_size": config.types,
        "initializer_range": config.init,
        "layer_norm_eps": 1e-12,
        "pad_token_id": special["pad"],
        "summary_type": "first",
        "summary_use_proj": True,
        "summary_activation": "gelu",
        "summary_last_dropout": 0.1,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def from_hf_config(settings: Mapping[str, Any]) -> Config:
    """The Config behind a config.json. Raises ValueError for a setting that nlptool's ELECTRA does not have."""
    fixed = {"layer_norm_eps": 1e-12, "position_embedding_type": "absolute", "is_decoder": False}
    fixed |= {"add_cross_attention": False, "tie_word_embeddings": True, "hidden_act": "gelu"}
    for key, value in fixed.items():
        if settings.get(key, value) != value:
            raise ValueError(f"config.json: {key} is {settings[key]!r}; nlptool's ELECTRA has {value!r} only")
    return Config.model_validate(
        {
            "embedding": settings.get("embedding_size", 128),
            "layers": settings.get("num_hidden_layers", 12),
            "hidden": settings.get("hidden_size", 256),
            "heads": settings.get("num_attention_heads", 4),
            "intermediate": settings.get("intermediate_size", 1024),
            "positions": settings.get("max_position_embeddings", 512),
            "types": settings.get("type_vocab_size", 2),
            "dropout": settings.get("hidden_dropout_prob", 0.1),
            "attention_dropout": settings.get("attention_probs_dropout_prob", 0.1),
            "init": settings.get("initializer_range", 0.02),
        }
    )


def _whole(key: str) -> str:
    """The name in a model with heads."""
    bare = key.startswith(("embeddings.", "embeddings_project.", "encoder."))
    return f"electra.{key}" if bare else key
