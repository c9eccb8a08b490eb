"""ELECTRA's names and settings in Hugging Face's `transformers`.

The discriminator (`backbone.*`, `rtd.*`) and the generator (`backbone.*`, `mlm.*`) are two models there, each with
its own copy of the embeddings that the two share while they are trained.
"""

from nlptool.models.config import EncoderConfig
from nlptool.models.hf_family import (
    BERT_SUBLAYERS,
    ENCODER_FIXED,
    EncoderFamily,
    encoder_modules,
    encoder_settings,
    query_key_value,
)

LAYER = "electra.encoder.layer.{i}"


FAMILY = EncoderFamily(
    title="ELECTRA",
    model_type="electra",
    class_prefix="Electra",
    base_model_prefix="electra",
    settings=encoder_settings(hidden=256, heads=4, intermediate=1024)
    | {"embedding_size": ("embedding_size", 128)},
    fixed=ENCODER_FIXED
    | {
        "is_decoder": (False,),
        "add_cross_attention": (False,),
        "hidden_act": ("gelu",),
    },
    written={
        "layer_norm_eps": EncoderConfig.epsilon,
        "summary_type": "first",
        "summary_use_proj": True,
        "summary_activation": "gelu",
        "summary_last_dropout": 0.1,
    },
    modules=encoder_modules(
        "electra",
        LAYER,
        BERT_SUBLAYERS,
        {
            "backbone.layers.projection": "electra.embeddings_project",
            "rtd.dense": "discriminator_predictions.dense",
            "rtd.out": "discriminator_predictions.dense_prediction",
            "mlm.dense": "generator_predictions.dense",
            "mlm.norm": "generator_predictions.LayerNorm",
            "mlm": "generator_lm_head",
            "chooser.dense": "sequence_summary.summary",
            "classifier.dense": "classifier.dense",
            "classifier.out": "classifier.out_proj",
        },
    ),
    split=query_key_value(*(f"{LAYER}.attention.self.{name}" for name in ("query", "key", "value"))),
    tied={"generator_lm_head.weight": "electra.embeddings.word_embeddings.weight"},
)
