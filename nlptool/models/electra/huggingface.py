"""ELECTRA's names and settings in Hugging Face's `transformers`, both ways.

The discriminator (`backbone.*`, `rtd.*`) and the generator (`backbone.*`, `mlm.*`) are two models there, each with
its own copy of the embeddings that the two share while they are trained.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool.models import hf_settings
from nlptool.models.electra.config import Config
from nlptool.models.hf_names import Names

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
        "span.out": "qa_outputs",
        "tagger.out": "classifier",  # both are called so there; read, it is the next one
        "chooser.dense": "sequence_summary.summary",
        "chooser.out": "classifier",
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
    frozenset({"backbone", "span"}): "ElectraForQuestionAnswering",
    frozenset({"backbone", "tagger"}): "ElectraForTokenClassification",
    frozenset({"backbone", "chooser"}): "ElectraForMultipleChoice",
    frozenset({"backbone"}): "ElectraModel",
}
DEFAULTS = {
    "layers": 12,
    "hidden": 256,
    "heads": 4,
    "intermediate": 1024,
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
    return hf_settings.written(config, vocab_size, special, architecture) | {
        "model_type": "electra",
        "embedding_size": config.embedding,
        "summary_type": "first",
        "summary_use_proj": True,
        "summary_activation": "gelu",
        "summary_last_dropout": 0.1,
    }


def from_hf_config(given: Mapping[str, Any]) -> Config:
    """The Config behind a config.json. Raises ValueError for a setting that nlptool's ELECTRA does not have."""
    hf_settings.require(
        NAMES.family, given, {"is_decoder": False, "add_cross_attention": False, "hidden_act": "gelu"}
    )
    return Config.model_validate(
        hf_settings.read(given, DEFAULTS) | {"embedding": given.get("embedding_size", 128)}
    )


def _whole(key: str) -> str:
    """The name in a model with heads."""
    bare = key.startswith(("embeddings.", "embeddings_project.", "encoder."))
    return f"electra.{key}" if bare else key
