"""ERNIE's names and settings in the released code, github.com/thunlp/ERNIE: BERT's, and `_ent` for entities.

transformers has no class for this model. Its model_type `ernie` is Baidu's ERNIE (Sun et al. 2019), so folders of this
one say `ernie_informative`. A folder in the released form has the same settings, without model_type, in
ernie_config.json; its pytorch_model.bin is a pickle and is to be converted to model.safetensors first. There
`layer_types` names the layers; transformers has that key for other things and would not open the folder's tokenizer, so
it is `entity_layer_types` here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlptool.models.config import EncoderConfig
from nlptool.models.hf_family import (
    BERT_HEADS,
    BERT_SUBLAYERS,
    ENCODER_FIXED,
    EncoderFamily,
    encoder_modules,
    encoder_settings,
    query_key_value,
)

LAYER = "bert.encoder.layer.{i}"
QKV = ("query", "key", "value")
SETTINGS = {
    "layer_types": ("entity_layer_types", ()),
    "entity_size": ("entity_size", 100),  # hard-wired in the released code, as are the heads
    "entity_heads": ("entity_attention_heads", 4),
    "cls_entity": ("cls_entity", True),
}
ENTITY_MODULES = {
    "up": "intermediate.dense_ent",
    "down": "output.dense_ent",
    "norm": "output.LayerNorm_ent",
    "attention.out": "attention.output_ent.dense",
    "attention.norm": "attention.output_ent.LayerNorm",
}


@dataclass(frozen=True, kw_only=True)
class ErnieFamily(EncoderFamily):
    """The released code's family."""

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """With the type of each layer; unnamed ones are sim, as in the released code."""
        read = super().read({"entity_layer_types": given.get("layer_types", ())} | dict(given))
        types, layers = read["layer_types"], read["layers"]
        if isinstance(types, list) and isinstance(layers, int):
            read["layer_types"] = (*types, *(["sim"] * (layers - len(types))))
        return read


FAMILY = ErnieFamily(
    title="ERNIE",
    model_type="ernie_informative",
    namesakes={
        other: f"is {whose}; nlptool's ernie is that of Zhang et al. 2019 (thunlp), whose model_type is "
        "ernie_informative"
        for other, whose in (
            ("ernie", "Baidu's ERNIE (Sun et al. 2019)"),
            ("ernie_m", "Baidu's ERNIE-M"),
            ("ernie4_5", "Baidu's ERNIE 4.5"),
            ("ernie4_5_moe", "Baidu's ERNIE 4.5"),
        )
    },
    in_transformers=False,
    class_prefix="ErnieInformative",
    base_model_prefix="bert",
    settings=encoder_settings() | SETTINGS,
    fixed=ENCODER_FIXED | {"is_decoder": (False,), "add_cross_attention": (False,)},
    written={"layer_norm_eps": EncoderConfig.epsilon},
    modules=encoder_modules(
        "bert",
        LAYER,
        BERT_SUBLAYERS,
        {
            **{f"backbone.entities.{{i}}.{own}": f"{LAYER}.{name}" for own, name in ENTITY_MODULES.items()},
            **BERT_HEADS,
            "dea.dense": "cls.predictions_ent.transform.dense",
            "dea.norm": "cls.predictions_ent.transform.LayerNorm",
        },
    ),
    split=query_key_value(*(f"{LAYER}.attention.self.{name}" for name in QKV))
    | {"backbone.entities.{i}.attention.qkv": tuple(f"{LAYER}.attention.self_ent.{name}" for name in QKV)},
    tied={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
)
