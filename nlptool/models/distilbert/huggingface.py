"""DistilBERT's names and settings in Hugging Face's `transformers`, both ways.

Query, key and value are three matrices there and one here. The decoder is tied, so it is stored once, as the word
embeddings.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool.models import hf_settings
from nlptool.models.distilbert.config import Config
from nlptool.models.hf_names import Names, activation

NAMES = Names(
    family="DistilBERT",
    modules={
        "backbone.embeddings.tokens": "distilbert.embeddings.word_embeddings",
        "backbone.embeddings.positions": "distilbert.embeddings.position_embeddings",
        "backbone.embeddings.norm": "distilbert.embeddings.LayerNorm",
        "backbone.layers.attention.{i}.out": "distilbert.transformer.layer.{i}.attention.out_lin",
        "backbone.layers.attention.{i}.norm": "distilbert.transformer.layer.{i}.sa_layer_norm",
        "backbone.layers.mlp.{i}.up": "distilbert.transformer.layer.{i}.ffn.lin1",
        "backbone.layers.mlp.{i}.down": "distilbert.transformer.layer.{i}.ffn.lin2",
        "backbone.layers.mlp.{i}.norm": "distilbert.transformer.layer.{i}.output_layer_norm",
        "mlm.dense": "vocab_transform",
        "mlm.norm": "vocab_layer_norm",
        "mlm": "vocab_projector",
        "span.out": "qa_outputs",
        # Three heads are called classifier there, and two pre_classifier. Read, it is the last one.
        "tagger.out": "classifier",
        "chooser.dense": "pre_classifier",
        "chooser.out": "classifier",
        "classifier.dense": "pre_classifier",
        "classifier.out": "classifier",
    },
    split={
        "backbone.layers.attention.{i}.qkv": (
            "distilbert.transformer.layer.{i}.attention.q_lin",
            "distilbert.transformer.layer.{i}.attention.k_lin",
            "distilbert.transformer.layer.{i}.attention.v_lin",
        )
    },
    tied={"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"},
)
ARCHITECTURES = {
    frozenset({"backbone", "mlm"}): "DistilBertForMaskedLM",
    frozenset({"backbone", "classifier"}): "DistilBertForSequenceClassification",
    frozenset({"backbone", "span"}): "DistilBertForQuestionAnswering",
    frozenset({"backbone", "tagger"}): "DistilBertForTokenClassification",
    frozenset({"backbone", "chooser"}): "DistilBertForMultipleChoice",
    frozenset({"backbone"}): "DistilBertModel",
}
SETTINGS = {  # our key -> theirs, and what it is where config.json does not say
    "layers": ("n_layers", 6),
    "hidden": ("dim", 768),
    "heads": ("n_heads", 12),
    "intermediate": ("hidden_dim", 3072),
    "positions": ("max_position_embeddings", 512),
    "dropout": ("dropout", 0.1),
    "attention_dropout": ("attention_dropout", 0.1),
    "init": ("initializer_range", 0.02),
}


def architecture(state: Mapping[str, Tensor]) -> str:
    """The class of transformers that has exactly the parts of this state. Raises ValueError when none has."""
    return hf_settings.architecture(NAMES.family, ARCHITECTURES, state)


def to_hf(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """nlptool's state dict (`backbone.*`, `mlm.*`, `classifier.*`) under Hugging Face's names."""
    return NAMES.to_hf(state)


def from_hf(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's tensors under nlptool's names; heads that are not there stay away.

    Bare encoders (no `distilbert.` in front) and position_ids buffers are understood. Raises ValueError as
    Names.from_hf does.
    """
    return NAMES.from_hf({_full(k): t for k, t in tensors.items() if not k.endswith("position_ids")})


def hf_config(
    config: Config, vocab_size: int, special: Mapping[str, int], architecture: str
) -> dict[str, Any]:
    """The settings for config.json."""
    return {
        "architectures": [architecture],
        "model_type": "distilbert",
        "vocab_size": vocab_size,
        **{theirs: getattr(config, own) for own, (theirs, _) in SETTINGS.items()},
        "activation": hf_settings.ACTIVATIONS[config.activation],
        "sinusoidal_pos_embds": False,
        "pad_token_id": special["pad"],
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def from_hf_config(given: Mapping[str, Any]) -> Config:
    """The Config behind a config.json. Raises ValueError for a setting that nlptool's DistilBERT does not have.

    sinusoidal_pos_embds says how positions began; what they are is among the weights.
    """
    hf_settings.require(NAMES.family, given, {})
    read = {own: given.get(theirs, default) for own, (theirs, default) in SETTINGS.items()}
    return Config.model_validate(
        read | {"activation": activation(NAMES.family, "activation", given.get("activation", "gelu"))}
    )


def _full(key: str) -> str:
    return f"distilbert.{key}" if key.startswith(("embeddings.", "transformer.")) else key
