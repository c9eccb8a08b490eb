"""BERT's names and settings in Hugging Face's `transformers`."""

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


FAMILY = EncoderFamily(
    title="BERT",
    model_type="bert",
    class_prefix="Bert",
    base_model_prefix="bert",
    settings=encoder_settings(),
    fixed=ENCODER_FIXED | {"is_decoder": (False,), "add_cross_attention": (False,)},
    written={"layer_norm_eps": EncoderConfig.epsilon},
    modules=encoder_modules(
        "bert",
        LAYER,
        BERT_SUBLAYERS,
        BERT_HEADS,
    ),
    split=query_key_value(*(f"{LAYER}.attention.self.{name}" for name in ("query", "key", "value"))),
    tied={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
)
