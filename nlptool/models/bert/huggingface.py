"""BERT's names and settings in Hugging Face's `transformers`, both ways.

Query, key and value are three matrices there and one here. The decoder is tied, so it is stored once, as
the word embeddings.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool.models import hf_settings
from nlptool.models.bert.config import Config
from nlptool.models.hf_names import Names, activation

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
        "span.out": "qa_outputs",
        # Three heads are called classifier there. Read, it is the last one.
        "tagger.out": "classifier",
        "chooser.out": "classifier",
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
    frozenset({"backbone", "span"}): "BertForQuestionAnswering",
    frozenset({"backbone", "tagger"}): "BertForTokenClassification",
    frozenset({"backbone", "pooler", "chooser"}): "BertForMultipleChoice",
    frozenset({"backbone", "pooler"}): "BertModel",
    frozenset({"backbone"}): "BertModel",
}
DEFAULTS = {
    "layers": 12,
    "hidden": 768,
    "heads": 12,
    "intermediate": 3072,
    "positions": 512,
    "types": 2,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "init": 0.02,
}


def architecture(state: Mapping[str, Tensor]) -> str:
    """The class of transformers that has exactly the parts of this state. Raises ValueError when none has."""
    return hf_settings.architecture(NAMES.family, ARCHITECTURES, state)


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
    return hf_settings.written(config, vocab_size, special, architecture) | {
        "model_type": "bert",
    }


def from_hf_config(given: Mapping[str, Any]) -> Config:
    """The Config behind a config.json. Raises ValueError for a setting that nlptool's BERT does not have."""
    hf_settings.require(NAMES.family, given, {"is_decoder": False, "add_cross_attention": False})
    return Config.model_validate(
        hf_settings.read(given, DEFAULTS)
        | {"activation": activation(NAMES.family, "hidden_act", given.get("hidden_act", "gelu"))}
    )


def _modern(key: str) -> str:
    key = key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    return f"bert.{key}" if key.startswith(("embeddings.", "encoder.", "pooler.")) else key
