"""What the config.json of every encoder in Hugging Face's `transformers` has, both ways."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool.formatting import json_value
from nlptool.models.config import EPSILON, EncoderConfig

SETTINGS = {  # our key -> theirs
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
    "positions": "max_position_embeddings",
    "types": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "init": "initializer_range",
}
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new"}
FIXED = {"layer_norm_eps": EPSILON, "position_embedding_type": "absolute", "tie_word_embeddings": True}

Parts = Mapping[frozenset[str], str]
"""Which class of transformers has exactly these parts."""


def architecture(family: str, classes: Parts, state: Mapping[str, Tensor]) -> str:
    """The class that has exactly the parts of this state. Raises ValueError when none has."""
    parts = frozenset(key.partition(".")[0] for key in state)
    if parts not in classes:
        raise ValueError(f"no Hugging Face {family} class has the parts {', '.join(sorted(parts))}")
    return classes[parts]


def written(
    config: EncoderConfig, vocab_size: int, special: Mapping[str, int], architecture: str
) -> dict[str, Any]:
    """What every family writes; its own settings come on top."""
    return {
        "architectures": [architecture],
        "vocab_size": vocab_size,
        **{theirs: getattr(config, own) for own, theirs in SETTINGS.items()},
        "hidden_act": ACTIVATIONS[config.activation],
        "layer_norm_eps": EPSILON,
        "pad_token_id": special["pad"],
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def read(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Our keys and values. defaults: of the family's class in transformers, by our keys."""
    return {own: settings.get(theirs, defaults[own]) for own, theirs in SETTINGS.items()}


def require(family: str, settings: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    """Raise ValueError for a setting other than the only value that nlptool has of it."""
    for key, value in (FIXED | dict(fixed)).items():
        if settings.get(key, value) != value:
            raise ValueError(
                f"config.json: {key} is {json_value(settings[key])}; nlptool's {family} has {json_value(value)} only"
            )
